/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's view of its state folders when one of them cannot be read: the others go on, and what was
 * read of it last counts on. The node states are real ones.
 */
#include "tests/unit/node_place.h"

#include "agent/node_states.h"
#include "ipam/node_cluster.h"

struct here {
	const struct place *place;
	struct node_states states;
	struct mirror mirror;
};

static void fill(const struct place *p, const char *dir, const struct mirror *m, const char *prefix)
{
	struct err e;
	struct cidr block = cidr(prefix);
	struct node *n = open_in(p, dir, NODE_SHARED);
	ok(node_adopt(n, NULL, &e));
	ok(node_put_mirror(n, m, &e));
	ok(node_add_block(n, &block, &e));
	node_close(n);
}

/* Two folders with a block each. */
static void open_here(struct here *h, void **state)
{
	struct agent_conf conf = {.n_state_dirs = 2};
	struct err e;
	*h = (struct here){.place = *state, .mirror = {.node = "node-a", .n_pools = 1}};
	h->mirror.pools[0] = (struct mirror_pool){
		.pool = P("10.66.0.0/16", 29, 60), .name = "default", .assigns = true};
	fill(h->place, h->place->dir, &h->mirror, "10.66.0.0/29");
	fill(h->place, h->place->other, &h->mirror, "10.66.0.8/29");
	snprintf(conf.state_dirs[0], sizeof(conf.state_dirs[0]), "%s", h->place->dir);
	snprintf(conf.state_dirs[1], sizeof(conf.state_dirs[1]), "%s", h->place->other);
	ok(node_states_open(&h->states, &conf, &e));
	h->states.dirs[0].path = h->place->dir; /* conf ends here */
	h->states.dirs[1].path = h->place->other;
}

/* A file is in the place of the second folder, or it is there again. */
static void ruin(const struct here *h, bool ruined)
{
	char aside[128];
	snprintf(aside, sizeof(aside), "%s.aside", h->place->other);
	if (!ruined) {
		assert_int_equal(unlink(h->place->other), 0);
		assert_int_equal(rename(aside, h->place->other), 0);
		return;
	}
	assert_int_equal(rename(h->place->other, aside), 0);
	int fd = open(h->place->other, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
}

static const struct node_states_block *block_of(const struct here *h, const char *prefix)
{
	struct cidr c = cidr(prefix);
	const struct node_states_block *b = node_states_find(&h->states, &c);
	assert_non_null(b);
	return b;
}

static void a_folder_that_cannot_be_read_any_more_counts_as_it_was(void **state)
{
	struct here h;
	struct addr a;
	struct err e;
	open_here(&h, state);
	ok(node_states_read(&h.states, 100, &e));
	assert_int_equal(h.states.n_blocks, 2);
	assert_int_equal(h.states.dirs[1].free[IPV4], 8);
	ruin(&h, true);
	assert_int_equal(node_states_read(&h.states, 200, &e), 1);
	assert_string_equal(h.states.dirs[0].trouble, "");
	assert_says(h.states.dirs[1].trouble, h.place->other);
	assert_int_equal(h.states.n_blocks, 2);
	assert_int_equal(h.states.dirs[0].free[IPV4], 8);
	assert_int_equal(h.states.dirs[1].free[IPV4], 0);
	const struct node_states_block *b = block_of(&h, "10.66.0.8/29");
	assert_int_equal(b->dir, 1);
	assert_int_equal(b->in.free, 0);
	assert_true(b->in.used > 0 && b->empty_since_s < 0); /* never idle */
	assert_true(block_of(&h, "10.66.0.0/29")->empty_since_s >= 0);
	/* The others are told, and nothing is decided that it may know better. */
	h.mirror.mtu[IPV4] = 1400;
	assert_int_equal(node_states_put_mirror(&h.states, &h.mirror, &e), 1);
	assert_int_equal(node_states_put_mirror(&h.states, &h.mirror, &e), 0);
	refused(node_states_tunnel(&h.states, "vxlan", AF_INET, &a, &e), EIO, h.place->other);
	ruin(&h, false);
	assert_int_equal(node_states_read(&h.states, 300, &e), 1);
	assert_string_equal(h.states.dirs[1].trouble, "");
	assert_int_equal(block_of(&h, "10.66.0.8/29")->in.used, 0);
	assert_int_equal(node_states_put_mirror(&h.states, &h.mirror, &e), 1);
	ok(node_states_tunnel(&h.states, "vxlan", AF_INET, &a, &e));
	node_states_close(&h.states);
}

static void a_folder_that_never_could_be_read_is_an_error(void **state)
{
	struct here h;
	struct err e;
	open_here(&h, state);
	ruin(&h, true);
	assert_true(node_states_read(&h.states, 100, &e) < 0);
	ruin(&h, false);
	ok(node_states_read(&h.states, 100, &e));
	node_states_close(&h.states);
}

/* It is counted every second, so the trouble is no news each time. */
static void a_poll_tells_of_a_trouble_once(void **state)
{
	struct here h;
	struct err e;
	open_here(&h, state);
	ok(node_states_read(&h.states, 100, &e));
	assert_false(node_states_poll(&h.states));
	ruin(&h, true);
	assert_true(node_states_poll(&h.states));
	assert_false(node_states_poll(&h.states));
	assert_int_equal(h.states.dirs[0].free[IPV4], 8);
	ok(node_states_read(&h.states, 200, &e));
	assert_false(node_states_poll(&h.states));
	ruin(&h, false);
	assert_true(node_states_poll(&h.states));
	node_states_close(&h.states);
}

#define WITH_PLACE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PLACE(a_folder_that_cannot_be_read_any_more_counts_as_it_was),
		WITH_PLACE(a_folder_that_never_could_be_read_is_an_error),
		WITH_PLACE(a_poll_tells_of_a_trouble_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
