/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The comparison of state and kernel, on values alone: each rule broken once, and everything that
 * must not be called a problem.
 */
#include "tests/unit/check.h"

#include <stdio.h>
#include <sys/socket.h>

#include "cli/audit.h"
#include "lib/gateway.h"
#include "tests/unit/test_cli_view.h"

#define MAX 4

/* A node with one pool and one block, whose kernel is right. */
struct world {
	struct test_view t;
	struct owned kernel;
	struct owned_link links[MAX];
	struct cidr blocks[MAX];
	struct net_route strays[MAX];
	struct net_addr addrs[MAX];
	struct net_link devices[MAX];
	struct audit_input in;
	struct wiring_pod *pods;
	bool has_gateway; /* pods' links have it, and the way to their link-local addresses */
	struct audit found;
};

static struct owner web, db;

static void add_device(struct world *w, int index, const char *name, const char *alias)
{
	struct net_link *l = &w->devices[w->in.n_links++];
	*l = (struct net_link){.index = index, .up = true};
	(void)snprintf(l->name, sizeof(l->name), "%s", name);
	(void)snprintf(l->alias, sizeof(l->alias), "%s", alias);
}

static struct owned_link *add_link(
	struct world *w, int index, const struct owner *o, const char *address)
{
	struct owned_link *l = &w->links[w->kernel.n_links++];
	*l = (struct owned_link){.link = {.index = index, .up = true}, .label.owner = o->hash};
	memcpy(l->link.mac, gateway_mac, sizeof(l->link.mac));
	(void)snprintf(l->link.name, sizeof(l->link.name), "roost%08x", (unsigned int)index);
	(void)snprintf(l->label.network, sizeof(l->label.network), "%s", o->network);
	(void)snprintf(l->label.container, sizeof(l->label.container), "%s", o->container);
	(void)snprintf(l->label.ifname, sizeof(l->label.ifname), "%s", o->ifname);
	if (address)
		l->addrs[l->n_addrs++] = addr(address);
	return l;
}

static int set_up(void **state)
{
	static struct world w;
	memset(&w, 0, sizeof(w));
	web = owner_of("lan", "web1", "eth0");
	db = owner_of("lan", "db1", "eth0");
	test_view_init(&w.t);
	test_view_pool(&w.t, "10.1.0.0/16", 26);
	test_view_block(&w.t, "10.1.0.64/26");
	w.kernel = (struct owned){.links = w.links, .blocks = w.blocks, .strays = w.strays};
	w.blocks[w.kernel.n_blocks++] = cidr("10.1.0.64/26");
	w.in = (struct audit_input){
		.view = &w.t.view, .kernel = &w.kernel, .addrs = w.addrs, .links = w.devices};
	add_device(&w, 2, "eth0", "");
	*state = &w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	audit_done(&w->found);
	free(w->pods);
	return 0;
}

/* What a look at the kernel would show of the pods: the routes of their links. */
static void world_look(struct world *w)
{
	free(w->pods);
	w->in.pods = w->pods = audit_pods(&w->t.view, &w->kernel, &w->in.n_pods);
	for (size_t i = 0; i < w->in.n_pods; i++) {
		struct wiring_pod *pod = &w->pods[i];
		const struct owned_link *l = audit_link(&w->kernel, pod->link.index);
		pod->has_gateway6 = pod->has_near6 = w->has_gateway;
		for (size_t j = 0; j < pod->n_addrs; j++)
			for (size_t k = 0; k < l->n_addrs; k++)
				if (addr_equal(&pod->addrs[j], &l->addrs[k]))
					pod->routes[j] = (struct net_route){
						.dst = cidr_of_host(&pod->addrs[j]),
						.dev = l->link.index};
	}
	audit_run(&w->in, &w->found);
}

static const struct audit_problem *only_problem(struct world *w)
{
	world_look(w);
	assert_int_equal(w->found.n, 1);
	return &w->found.v[0];
}

static void expect(
	const struct audit_problem *p, enum audit_kind kind, enum audit_fix fix, const char *object)
{
	assert_int_equal(p->kind, kind);
	assert_int_equal(p->fix, fix);
	assert_string_equal(p->object, object);
	assert_true(*p->expected && *p->seen && *p->advice);
	assert_false(p->repaired);
}

static void expect_peace(struct world *w)
{
	world_look(w);
	assert_int_equal(w->found.n, 0);
}

static void a_pod_with_link_route_and_blackhole_is_right(void **state)
{
	struct world *w = *state;
	test_view_entry(&w->t, "10.1.0.65", NODE_USED, &web);
	add_link(w, 7, &web, "10.1.0.65");
	expect_peace(w);
}

static void a_record_without_link_is_leaked(void **state)
{
	struct world *w = *state;
	test_view_entry(&w->t, "10.1.0.65", NODE_USED, &web);
	const struct audit_problem *p = only_problem(w);
	expect(p, AUDIT_LEAKED, AUDIT_FIX_RELEASE, "10.1.0.65");
	assert_says(p->expected, "web1");
	assert_says(p->advice, "roostctl ipam release 10.1.0.65");
}

static void a_record_for_another_plugin_is_never_leaked(void **state)
{
	struct world *w = *state;
	web.foreign = true;
	test_view_entry(&w->t, "10.1.0.65", NODE_USED, &web);
	w->kernel.n_blocks = 0; /* and its block may have no blackhole */
	expect_peace(w);
}

static void cooling_reserved_and_quarantined_addresses_need_nothing(void **state)
{
	struct world *w = *state;
	test_view_entry(&w->t, "10.1.0.65", NODE_COOLING, &web);
	test_view_entry(&w->t, "10.1.0.66", NODE_RESERVED, NULL);
	test_view_entry(&w->t, "10.1.0.67", NODE_QUARANTINED, NULL);
	expect_peace(w);
}

static void the_host_has_to_forward_and_to_drop_spoofed_sources(void **state)
{
	struct world *w = *state;
	const struct wiring_host host = {
		.has = {true, false}, .prefixes[0].text = "roost", .n_prefixes = 1};
	test_view_entry(&w->t, "10.1.0.65", NODE_USED, &web);
	add_link(w, 7, &web, "10.1.0.65");
	w->in.host = &host;
	world_look(w);
	assert_int_equal(w->found.n, 2);
	expect(&w->found.v[0], AUDIT_MISSING, AUDIT_FIX_HOST, "forwarding");
	expect(&w->found.v[1], AUDIT_MISSING, AUDIT_FIX_HOST, "table inet roost");
	w->in.host = NULL;
}

static void a_link_without_route_misses_it(void **state)
{
	struct world *w = *state;
	test_view_entry(&w->t, "10.1.0.65", NODE_USED, &web);
	add_link(w, 7, &web, NULL);
	const struct audit_problem *p = only_problem(w);
	expect(p, AUDIT_MISSING, AUDIT_FIX_WIRING, "10.1.0.65");
	assert_int_equal(p->dev, 7);
}

static void a_link_that_is_down_is_named_as_the_reason(void **state)
{
	struct world *w = *state;
	test_view_entry(&w->t, "10.1.0.65", NODE_USED, &web);
	add_link(w, 7, &web, NULL)->link.up = false;
	const struct audit_problem *p = only_problem(w);
	expect(p, AUDIT_MISSING, AUDIT_FIX_WIRING, "roost00000007");
	assert_says(p->seen, "down");
}

static void of_two_links_of_one_owner_the_routed_one_counts(void **state)
{
	struct world *w = *state;
	test_view_entry(&w->t, "10.1.0.65", NODE_USED, &web);
	add_link(w, 6, &web, NULL);
	add_link(w, 7, &web, "10.1.0.65");
	expect_peace(w);
}

static void a_living_link_without_record_is_entered_again_not_deleted(void **state)
{
	struct world *w = *state;
	static const enum node_addr_state states[] = {NODE_FREE, NODE_COOLING, NODE_QUARANTINED};
	add_link(w, 7, &web, "10.1.0.65");
	for (size_t i = 0; i < 3; i++) {
		w->t.view.n_entries = 0;
		if (states[i] != NODE_FREE)
			test_view_entry(&w->t, "10.1.0.65", states[i], NULL);
		const struct audit_problem *p = only_problem(w);
		expect(p, AUDIT_MISSING, AUDIT_FIX_RECORD, "10.1.0.65");
		assert_says(p->seen, node_state_text(states[i]));
		audit_done(&w->found);
	}
}

static void a_link_whose_addresses_are_in_no_pool_is_none_of_our_business(void **state)
{
	struct world *w = *state;
	add_link(w, 7, &web, "192.0.2.5");
	expect_peace(w);
}

static void a_link_with_neither_record_nor_route_is_to_be_deleted(void **state)
{
	struct world *w = *state;
	add_link(w, 7, &web, NULL);
	expect(only_problem(w), AUDIT_MISSING, AUDIT_FIX_DEL_LINK, "roost00000007");
}

static void two_living_pods_with_one_address_are_left_to_people(void **state)
{
	struct world *w = *state;
	test_view_entry(&w->t, "10.1.0.65", NODE_USED, &web);
	add_link(w, 6, &web, NULL);
	add_link(w, 7, &db, "10.1.0.65");
	const struct audit_problem *p = only_problem(w);
	expect(p, AUDIT_FOREIGN, AUDIT_FIX_NONE, "10.1.0.65");
	assert_says(p->expected, "web1");
	assert_says(p->seen, "db1");
}

static void the_record_of_a_dead_pod_gives_way_to_the_living_one(void **state)
{
	struct world *w = *state;
	test_view_entry(&w->t, "10.1.0.65", NODE_USED, &web);
	add_link(w, 7, &db, "10.1.0.65");
	world_look(w);
	assert_int_equal(w->found.n, 2);
	expect(&w->found.v[0], AUDIT_LEAKED, AUDIT_FIX_RELEASE, "10.1.0.65");
	expect(&w->found.v[1], AUDIT_MISSING, AUDIT_FIX_NONE, "10.1.0.65");
}

static void a_second_address_on_a_recorded_pod_is_foreign(void **state)
{
	struct world *w = *state;
	test_view_entry(&w->t, "10.1.0.65", NODE_USED, &web);
	struct owned_link *l = add_link(w, 7, &web, "10.1.0.65");
	l->addrs[l->n_addrs++] = addr("10.1.0.66");
	expect(only_problem(w), AUDIT_FOREIGN, AUDIT_FIX_NONE, "10.1.0.66");
}

static void the_other_family_of_a_recorded_pod_is_entered(void **state)
{
	struct world *w = *state;
	test_view_pool(&w->t, "fd00::/64", 122);
	test_view_block(&w->t, "fd00::40/122");
	test_view_entry(&w->t, "10.1.0.65", NODE_USED, &web);
	struct owned_link *l = add_link(w, 7, &web, "10.1.0.65");
	l->addrs[l->n_addrs++] = addr("fd00::41");
	expect(only_problem(w), AUDIT_MISSING, AUDIT_FIX_RECORD, "fd00::41");
}

static void an_ipv6_pod_needs_its_gateway_on_the_host_link(void **state)
{
	struct world *w = *state;
	test_view_pool(&w->t, "fd00::/64", 122);
	test_view_block(&w->t, "fd00::40/122");
	w->blocks[w->kernel.n_blocks++] = cidr("fd00::40/122");
	test_view_entry(&w->t, "fd00::41", NODE_USED, &web);
	add_link(w, 7, &web, "fd00::41");
	world_look(w);
	assert_int_equal(w->found.n, 2);
	expect(&w->found.v[0], AUDIT_MISSING, AUDIT_FIX_WIRING, "fd00::41");
	assert_says(w->found.v[0].seen, "fe80::ecee:eeff:feee:eeee");
	assert_says(w->found.v[1].seen, "fe80::/64");
	audit_done(&w->found);
	w->has_gateway = true;
	expect_peace(w);
}

static void a_block_with_pods_needs_its_blackhole(void **state)
{
	struct world *w = *state;
	test_view_entry(&w->t, "10.1.0.65", NODE_USED, &web);
	add_link(w, 7, &web, "10.1.0.65");
	w->kernel.n_blocks = 0;
	expect(only_problem(w), AUDIT_MISSING, AUDIT_FIX_ADD_BLACKHOLE, "10.1.0.64/26");
}

static void a_block_of_one_address_needs_its_blackhole_behind_the_pod(void **state)
{
	struct world *w = *state;
	test_view_pool(&w->t, "10.2.0.0/24", 32);
	test_view_block(&w->t, "10.2.0.9/32");
	test_view_entry(&w->t, "10.2.0.9", NODE_USED, &web);
	add_link(w, 7, &web, "10.2.0.9");
	const struct audit_problem *p = only_problem(w);
	expect(p, AUDIT_MISSING, AUDIT_FIX_ADD_BLACKHOLE, "10.2.0.9/32");
	assert_non_null(strstr(p->advice, "ip route add blackhole 10.2.0.9/32 metric 1 proto 82"));
	audit_done(&w->found);
	w->blocks[w->kernel.n_blocks++] = cidr("10.2.0.9/32");
	expect_peace(w);
}

static void a_blackhole_of_no_block_is_deleted_only_inside_our_pools(void **state)
{
	struct world *w = *state;
	w->blocks[w->kernel.n_blocks++] = cidr("10.1.9.0/26");
	w->blocks[w->kernel.n_blocks++] = cidr("172.16.0.0/26");
	world_look(w);
	assert_int_equal(w->found.n, 2);
	expect(&w->found.v[0], AUDIT_FOREIGN, AUDIT_FIX_DEL_BLACKHOLE, "10.1.9.0/26");
	expect(&w->found.v[1], AUDIT_FOREIGN, AUDIT_FIX_NONE, "172.16.0.0/26");
}

static void what_another_state_folder_holds_is_left_to_it(void **state)
{
	struct world *w = *state;
	static const char *const text[] = {"10.1.9.0/26", "172.16.0.0/26"};
	struct cidr others[2];
	for (size_t i = 0; i < 2; i++)
		w->blocks[w->kernel.n_blocks++] = others[i] = cidr(text[i]);
	w->in.others = others;
	w->in.n_others = 2;
	add_link(w, 7, &web, "10.1.9.5");
	expect_peace(w);
}

static void our_protocol_on_a_strange_device_is_foreign(void **state)
{
	struct world *w = *state;
	w->strays[w->kernel.n_strays++] =
		(struct net_route){.dst = cidr("10.1.0.70/32"), .dev = 2, .protocol = 82};
	const struct audit_problem *p = only_problem(w);
	expect(p, AUDIT_FOREIGN, AUDIT_FIX_DEL_ROUTE, "10.1.0.70/32");
	assert_says(p->seen, "eth0");
}

static void a_strange_route_to_a_recorded_pod_is_not_deleted(void **state)
{
	struct world *w = *state;
	web.foreign = true;
	test_view_entry(&w->t, "10.1.0.70", NODE_USED, &web);
	w->strays[w->kernel.n_strays++] =
		(struct net_route){.dst = cidr("10.1.0.70/32"), .dev = 2, .protocol = 82};
	expect(only_problem(w), AUDIT_FOREIGN, AUDIT_FIX_NONE, "10.1.0.70/32");
}

static void an_address_of_a_block_on_this_host_is_foreign_unless_reserved(void **state)
{
	struct world *w = *state;
	test_view_entry(&w->t, "10.1.0.64", NODE_RESERVED, NULL);
	w->addrs[w->in.n_addrs++] = (struct net_addr){.address = cidr("10.1.0.64/26"), .dev = 2};
	w->addrs[w->in.n_addrs++] = (struct net_addr){.address = cidr("192.0.2.1/24"), .dev = 2};
	w->addrs[w->in.n_addrs++] = (struct net_addr){.address = cidr("10.1.0.80/16"), .dev = 2};
	const struct audit_problem *p = only_problem(w);
	expect(p, AUDIT_FOREIGN, AUDIT_FIX_NONE, "10.1.0.80");
	assert_string_equal(
		p->advice, "ip address del 10.1.0.80/16 dev eth0, or take it out of the pool");
}

static void a_tunnel_s_address_is_right_on_that_tunnel_s_device_only(void **state)
{
	struct world *w = *state;
	struct owner vxlan = owner_of(OWNER_TUNNEL, "vxlan", "ipv4");
	struct owner ipip = owner_of(OWNER_TUNNEL, "ipip", "ipv4");
	vxlan.foreign = ipip.foreign = true;
	test_view_entry(&w->t, "10.1.0.66", NODE_USED, &vxlan);
	test_view_entry(&w->t, "10.1.0.67", NODE_USED, &ipip);
	add_device(w, 3, "vxlan.roost", "roost: VXLAN over IPv4");
	add_device(w, 4, "tunl0", "roost: IPIP");
	w->addrs[w->in.n_addrs++] = (struct net_addr){.address = cidr("10.1.0.66/32"), .dev = 3};
	w->addrs[w->in.n_addrs++] = (struct net_addr){.address = cidr("10.1.0.67/32"), .dev = 4};
	expect_peace(w);
	w->addrs[w->in.n_addrs++] = (struct net_addr){.address = cidr("10.1.0.66/24"), .dev = 2};
	const struct audit_problem *p = only_problem(w);
	expect(p, AUDIT_FOREIGN, AUDIT_FIX_NONE, "10.1.0.66");
	assert_string_equal(
		p->expected, "nothing but the device of this node's own tunnel (vxlan, ipv4)");
	assert_string_equal(p->advice, "ip address del 10.1.0.66/24 dev eth0");
	audit_done(&w->found);
	w->addrs[2].dev = 4; /* the other tunnel's */
	expect(only_problem(w), AUDIT_FOREIGN, AUDIT_FIX_NONE, "10.1.0.66");
	audit_done(&w->found);
	w->addrs[2] =
		(struct net_addr){.address = cidr("10.1.0.70/32"), .dev = 3}; /* no tunnel's */
	expect(only_problem(w), AUDIT_FOREIGN, AUDIT_FIX_NONE, "10.1.0.70");
}

static void names_of_strangers_are_clean(void **state)
{
	struct world *w = *state;
	web.pod_name = "evil\033[2Jpod";
	test_view_entry(&w->t, "10.1.0.65", NODE_USED, &web);
	const struct audit_problem *p = only_problem(w);
	assert_null(strchr(p->expected, '\033'));
	assert_says(p->expected, "evil?[2Jpod");
}

#define WITH_NODE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_NODE(a_pod_with_link_route_and_blackhole_is_right),
		WITH_NODE(a_record_without_link_is_leaked),
		WITH_NODE(a_record_for_another_plugin_is_never_leaked),
		WITH_NODE(cooling_reserved_and_quarantined_addresses_need_nothing),
		WITH_NODE(the_host_has_to_forward_and_to_drop_spoofed_sources),
		WITH_NODE(a_link_without_route_misses_it),
		WITH_NODE(a_link_that_is_down_is_named_as_the_reason),
		WITH_NODE(of_two_links_of_one_owner_the_routed_one_counts),
		WITH_NODE(a_living_link_without_record_is_entered_again_not_deleted),
		WITH_NODE(a_link_whose_addresses_are_in_no_pool_is_none_of_our_business),
		WITH_NODE(a_link_with_neither_record_nor_route_is_to_be_deleted),
		WITH_NODE(two_living_pods_with_one_address_are_left_to_people),
		WITH_NODE(the_record_of_a_dead_pod_gives_way_to_the_living_one),
		WITH_NODE(a_second_address_on_a_recorded_pod_is_foreign),
		WITH_NODE(the_other_family_of_a_recorded_pod_is_entered),
		WITH_NODE(an_ipv6_pod_needs_its_gateway_on_the_host_link),
		WITH_NODE(a_block_with_pods_needs_its_blackhole),
		WITH_NODE(a_block_of_one_address_needs_its_blackhole_behind_the_pod),
		WITH_NODE(a_blackhole_of_no_block_is_deleted_only_inside_our_pools),
		WITH_NODE(what_another_state_folder_holds_is_left_to_it),
		WITH_NODE(our_protocol_on_a_strange_device_is_foreign),
		WITH_NODE(a_strange_route_to_a_recorded_pod_is_not_deleted),
		WITH_NODE(an_address_of_a_block_on_this_host_is_foreign_unless_reserved),
		WITH_NODE(a_tunnel_s_address_is_right_on_that_tunnel_s_device_only),
		WITH_NODE(names_of_strangers_are_clean),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
