/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addresses of the node's ends of tunnels: when they are taken, how long they stay, and that one
 * is held until the node state has let go of it. The node state is a real one.
 */
#include "tests/unit/node_place.h"

#include "agent/tunnel_addresses.h"
#include "ipam/node_cluster.h"

struct here {
	struct place *place;
	struct node_states states;
	struct tunnel_addresses tunnels;
	struct desired desired;
	struct problems problems;
	int64_t again_ms;
};

static void open_here(struct here *h, void **state)
{
	struct mirror m = {.node = "node-a", .n_pools = 1};
	struct agent_conf conf = {.n_state_dirs = 1};
	struct cidr block = cidr("10.66.0.8/29");
	struct err e;
	*h = (struct here){.place = *state};
	m.pools[0] = (struct mirror_pool){
		.pool = P("10.66.0.0/16", 29, 60), .name = "default", .assigns = true};
	struct node *n = open_state(state); /* with a block registry of the test's own */
	ok(node_adopt(n, NULL, &e));
	ok(node_put_mirror(n, &m, &e));
	ok(node_add_block(n, &block, &e));
	node_close(n);
	snprintf(conf.state_dirs[0], sizeof(conf.state_dirs[0]), "%s", h->place->dir);
	ok(node_states_open(&h->states, &conf, &e));
	h->states.dirs[0].path = h->place->dir; /* conf ends here */
}

/* A pass at that time. */
static bool sync_at(struct here *h, int64_t now_ms)
{
	const struct tunnel_addresses_input in = {.desired = &h->desired, .now_ms = now_ms};
	struct err e;
	h->problems = (struct problems){0};
	h->again_ms = INT64_MAX;
	(void)node_states_read(&h->states, now_ms / 1000, &e);
	return tunnel_addresses_sync(&h->tunnels, &in, &h->states, &h->again_ms, &h->problems);
}

static uint64_t used(struct here *h)
{
	struct err e;
	ok(node_states_read(&h->states, 0, &e));
	return h->states.dirs[0].used;
}

static void an_address_is_taken_and_given_back_half_a_minute_after_nobody_asks(void **state)
{
	struct here h;
	open_here(&h, state);
	h.desired.wants_vxlan[IPV4] = true;
	assert_true(sync_at(&h, 1000));
	assert_int_equal(h.tunnels.held[TUNNEL_VXLAN4].family, AF_INET);
	assert_int_equal(tunnel_addresses_count(&h.tunnels, AF_INET), 1);
	assert_int_equal(used(&h), 1);
	assert_false(sync_at(&h, 2000));
	h.desired.wants_vxlan[IPV4] = false;
	assert_false(sync_at(&h, 3000));
	assert_int_equal(h.again_ms, 3000 + TUNNEL_LINGER_MS);
	assert_int_equal(used(&h), 1);
	assert_true(sync_at(&h, 3000 + TUNNEL_LINGER_MS));
	assert_int_equal(h.tunnels.held[TUNNEL_VXLAN4].family, 0);
	assert_int_equal(used(&h), 0);
	node_states_close(&h.states);
}

static void hide(const struct here *h)
{
	char away[128];
	snprintf(away, sizeof(away), "%s.away", h->place->dir);
	assert_int_equal(rename(h->place->dir, away), 0);
	int fd = open(h->place->dir, O_WRONLY | O_CREAT | O_EXCL, 0600); /* a file is no folder */
	assert_true(fd >= 0);
	close(fd);
}

static void show(const struct here *h)
{
	char away[128];
	snprintf(away, sizeof(away), "%s.away", h->place->dir);
	assert_int_equal(unlink(h->place->dir), 0);
	assert_int_equal(rename(away, h->place->dir), 0);
}

static void an_address_is_held_until_the_node_state_has_released_it(void **state)
{
	struct here h;
	open_here(&h, state);
	h.desired.wants_vxlan[IPV4] = true;
	assert_true(sync_at(&h, 1000));
	struct addr had = h.tunnels.held[TUNNEL_VXLAN4];
	h.desired.wants_vxlan[IPV4] = false;
	assert_false(sync_at(&h, 2000));
	hide(&h);
	assert_false(sync_at(&h, 40000));
	assert_true(addr_equal(&h.tunnels.held[TUNNEL_VXLAN4], &had));
	assert_int_equal(h.problems.total, 1);
	assert_says(h.problems.text[0], "the address of the device of vxlan cannot be released: ");
	assert_true(h.again_ms > 40000 && h.again_ms <= 42000);
	show(&h);
	assert_int_equal(used(&h), 1);
	assert_true(sync_at(&h, h.again_ms));
	assert_int_equal(h.problems.total, 0);
	assert_int_equal(h.tunnels.held[TUNNEL_VXLAN4].family, 0);
	assert_int_equal(used(&h), 0);
	node_states_close(&h.states);
}

static void what_an_earlier_agent_left_is_released(void **state)
{
	struct here h;
	open_here(&h, state);
	h.desired.wants_ipip = true;
	assert_true(sync_at(&h, 1000));
	h.tunnels = (struct tunnel_addresses){0}; /* a new agent */
	h.desired.wants_ipip = false;
	hide(&h);
	assert_false(sync_at(&h, 2000));
	assert_int_equal(h.problems.total, TUNNELS);
	show(&h);
	assert_int_equal(used(&h), 1);
	assert_false(sync_at(&h, 3000));
	assert_int_equal(used(&h), 0);
	node_states_close(&h.states);
}

static void a_node_that_takes_no_pods_gives_it_back_with_its_last_pod(void **state)
{
	struct here h;
	struct err e;
	open_here(&h, state);
	struct tunnel_addresses_input in = {.desired = &h.desired, .drain = true, .now_ms = 1000};
	h.desired.wants_vxlan[IPV4] = true;
	assert_true(sync_at(&h, 1000));
	ok(node_states_read(&h.states, 1, &e));
	in.is_exit = true; /* packets may come */
	assert_false(tunnel_addresses_sync(&h.tunnels, &in, &h.states, &h.again_ms, &h.problems));
	assert_int_equal(h.again_ms, 1000 + TUNNEL_LINGER_MS);
	in.is_exit = false;
	in.now_ms = 1000 + TUNNEL_LINGER_MS;
	assert_true(tunnel_addresses_sync(&h.tunnels, &in, &h.states, &h.again_ms, &h.problems));
	assert_int_equal(used(&h), 0);
	node_states_close(&h.states);
}

static void the_previous_encapsulation_is_known_for_half_a_minute(void **state)
{
	struct here h;
	open_here(&h, state);
	h.desired.encapsulation[0] = ENCAPSULATION_IPIP;
	assert_false(sync_at(&h, 1000));
	h.desired.encapsulation[0] = ENCAPSULATION_VXLAN;
	assert_true(sync_at(&h, 2000));
	assert_int_equal(h.tunnels.previous[0], ENCAPSULATION_IPIP);
	assert_int_equal(h.again_ms, 2000 + TUNNEL_LINGER_MS);
	assert_false(sync_at(&h, 3000));
	assert_true(sync_at(&h, 2000 + TUNNEL_LINGER_MS));
	assert_int_equal(h.tunnels.previous[0], ENCAPSULATION_UNSET);
	assert_int_equal(h.again_ms, INT64_MAX);
	node_states_close(&h.states);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		node_test(an_address_is_taken_and_given_back_half_a_minute_after_nobody_asks),
		node_test(an_address_is_held_until_the_node_state_has_released_it),
		node_test(what_an_earlier_agent_left_is_released),
		node_test(a_node_that_takes_no_pods_gives_it_back_with_its_last_pod),
		node_test(the_previous_encapsulation_is_known_for_half_a_minute),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
