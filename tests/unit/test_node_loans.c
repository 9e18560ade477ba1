/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loans in the node state: what a borrower's pods get of them and when, and what a lender's pods do not
 * get. The agents' part is played by the tests.
 */
#include "tests/unit/node_place.h"

#include "ipam/node_cluster.h"

static struct mirror copy_of(const char *prefix, uint8_t block_len)
{
	struct mirror m = {.node = "node-a", .socket = "/run/roost/agent.sock", .n_pools = 1};
	m.pools[0] = (struct mirror_pool){
		.pool = P(prefix, block_len, 60), .name = "default", .assigns = true};
	return m;
}

static struct node *open_with(void **state, const struct mirror *m)
{
	struct node *n = open_state(state);
	struct err e;
	ok(node_put_mirror(n, m, &e));
	return n;
}

static void add(struct node *n, const char *block, int expected)
{
	struct err e;
	struct cidr c = cidr(block);
	int r = node_add_block(n, &c, &e);
	if (r != expected)
		fail_msg("%s: %d %s", block, r, e.text);
}

static void borrow(struct node *n, const char *address, int expected)
{
	struct err e;
	struct cidr c = cidr(address);
	int r = node_add_loan(n, &c, &e);
	if (r != expected)
		fail_msg("%s: %d %s", address, r, e.text);
}

static int ask(struct node *n, const char *container, const struct mirror *m, bool cooling,
	char text[ADDR_TEXT], struct err *e)
{
	struct pool pools[POOL_MAX];
	struct node_leases l;
	struct node_want w = {
		.owner = O(container), .pools = pools, .cluster = true, .cooling = cooling};
	int r = mirror_pools(m, pools, &w.n_pools, e);
	if (r == 0)
		r = node_assign(n, &w, &l, e);
	if (r == 0)
		addr_format(&l.v[0].addr, text);
	return r;
}

static void gets(struct node *n, const char *container, const struct mirror *m, const char *address)
{
	struct err e;
	char text[ADDR_TEXT];
	ok(ask(n, container, m, false, text, &e));
	assert_string_equal(text, address);
}

static void gets_none(struct node *n, const char *container, const struct mirror *m)
{
	struct err e;
	char text[ADDR_TEXT];
	refused(ask(n, container, m, false, text, &e), EAGAIN, "no free IPv4 address");
}

static void ends(struct node *n, const char *container)
{
	struct err e;
	struct owner o = O(container);
	assert_int_equal(node_release(n, &o.hash, 1, &e), 1);
}

static void counts(struct node *n, uint64_t now_free, uint64_t cooling)
{
	struct err e;
	uint64_t f = 0, c = 0;
	ok(node_count_free(n, AF_INET, &f, &c, &e));
	assert_int_equal(f, now_free);
	assert_int_equal(c, cooling);
}

static struct node_block block_of(struct node *n, const char *block)
{
	struct err e;
	struct node_view v;
	struct cidr c = cidr(block);
	struct node_block out = {0};
	ok(node_list(n, &v, &e));
	const struct node_block *found = node_view_block(&v, &c.addr);
	if (found && cidr_equal(&found->cidr, &c))
		out = *found;
	node_view_done(&v);
	return out;
}

static void lends(struct node *n, const char *address, bool cold, const char *instead)
{
	struct err e;
	struct addr a = addr(address), other;
	int r = node_lend(n, &a, cold, &other, &e);
	if (r < 0)
		fail_msg("%s: %s", address, e.text);
	assert_int_equal(r, instead == NULL);
	assert_string_equal(other.family ? ADDR_STRING(&other) : "", instead ? instead : "");
}

/* The lender's list without an address of it. */
static void takes_back(struct node *n, const char *address)
{
	struct mirror m;
	struct err e;
	struct cidr c = cidr(address);
	size_t kept = 0;
	assert_int_equal(node_get_mirror(n, &m, &e), 1);
	for (size_t i = 0; i < m.n_lent; i++)
		if (!cidr_equal(&m.lent[i], &c))
			m.lent[kept++] = m.lent[i];
	assert_int_equal(kept + 1, m.n_lent);
	m.n_lent = kept;
	assert_int_equal(node_put_mirror(n, &m, &e), 1);
}

/* ---- The borrower ---- */

static void a_loan_is_given_when_nothing_else_is_free(void **state)
{
	struct mirror m = copy_of("100.66.0.0/24", 31);
	CLEANUP_NODE struct node *n = open_with(state, &m);
	borrow(n, "100.66.0.5/32", 1);
	borrow(n, "100.66.0.5/32", 0);
	add(n, "100.66.0.6/31", 1);
	counts(n, 3, 0);
	gets(n, "a", &m, "100.66.0.6");
	gets(n, "b", &m, "100.66.0.7");
	gets(n, "c", &m, "100.66.0.5");
	gets_none(n, "d", &m);
	counts(n, 0, 0);
	struct node_block b = block_of(n, "100.66.0.5/32");
	assert_true(b.loan && b.cluster && b.used == 1 && b.free == 0);
	assert_true(cidr_equal(&b.pool, &m.pools[0].pool.cidr));
	assert_false(block_of(n, "100.66.0.6/31").loan);
}

static void a_released_loan_is_the_last_that_is_given_again(void **state)
{
	struct err e;
	char text[ADDR_TEXT];
	struct mirror m = copy_of("100.66.0.0/24", 26);
	CLEANUP_NODE struct node *n = open_with(state, &m);
	borrow(n, "100.66.0.5/32", 1);
	gets(n, "a", &m, "100.66.0.5");
	ends(n, "a");
	counts(n, 0, 1);
	gets_none(n, "b", &m);
	ok(ask(n, "b", &m, true, text, &e)); /* the agent had nothing either */
	assert_string_equal(text, "100.66.0.5");
	ends(n, "b");
	m.pools[0].pool.cooldown_s = 0;
	ok(node_put_mirror(n, &m, &e));
	counts(n, 1, 0);
	gets(n, "c", &m, "100.66.0.5");
}

static void a_loan_goes_back_with_its_cool_down_but_not_with_a_pod(void **state)
{
	struct err e;
	struct cidr c = cidr("100.66.0.5/32");
	struct mirror m = copy_of("100.66.0.0/24", 26);
	CLEANUP_NODE struct node *n = open_with(state, &m);
	borrow(n, "100.66.0.5/32", 1);
	gets(n, "a", &m, "100.66.0.5");
	refused(node_drain_block(n, &c, true, &e), EBUSY, "not empty");
	ends(n, "a");
	refused(node_drain_block(n, &c, false, &e), EBUSY, "not empty");
	ok(node_drain_block(n, &c, true, &e));
	gets_none(n, "b", &m);
	counts(n, 0, 0);
	ok(node_drop_block(n, &c, &e));
	assert_false(block_of(n, "100.66.0.5/32").loan);
	/* Its block may be this node's by then. */
	add(n, "100.66.0.0/26", 1);
	refused(node_add_loan(n, &c, &e), EINVAL, "overlaps 100.66.0.0/26");
}

static void a_loan_survives_what_happens_to_its_pool(void **state)
{
	struct err e;
	struct mirror m = copy_of("100.66.0.0/24", 26);
	CLEANUP_NODE struct node *n = open_with(state, &m);
	borrow(n, "100.66.0.5/32", 1);
	m.pools[0].pool.block_len = 28;
	assert_int_equal(node_put_mirror(n, &m, &e), 1);
	m.n_pools = 0;
	assert_int_equal(node_put_mirror(n, &m, &e), 1);
	counts(n, 0, 0);
	m.n_pools = 1;
	assert_int_equal(node_put_mirror(n, &m, &e), 1);
	counts(n, 1, 0);
	struct cidr other = cidr("10.1.1.1/32");
	refused(node_add_loan(n, &other, &e), EINVAL, "of no pool that the cluster has");
}

/* ---- The lender ---- */

static void what_is_lent_is_given_to_no_pod(void **state)
{
	struct mirror m = copy_of("100.66.0.0/24", 30);
	CLEANUP_NODE struct node *n = open_with(state, &m);
	add(n, "100.66.0.0/30", 1);
	lends(n, "100.66.0.1", false, NULL);
	lends(n, "100.66.0.1", false, "100.66.0.0");
	counts(n, 3, 0);
	gets(n, "a", &m, "100.66.0.0");
	gets(n, "b", &m, "100.66.0.2");
	lends(n, "100.66.0.0", false, "100.66.0.3");
	gets(n, "c", &m, "100.66.0.3");
	gets_none(n, "d", &m);
	lends(n, "100.66.0.3", false, "");
	struct node_block b = block_of(n, "100.66.0.0/30");
	assert_int_equal(b.used, 4);
	assert_int_equal(b.lent, 1);
	lends(n, "100.66.0.9", false, ""); /* not ours */
	struct err e;
	struct addr a = addr("100.66.0.1");
	refused(node_release_addr(n, &a, &e), EADDRINUSE, "100.66.0.1 is lent to another node");
}

static void a_reservation_outlives_pods_mirrors_and_the_agent(void **state)
{
	struct err e;
	struct mirror m = copy_of("100.66.0.0/24", 30), told;
	struct cidr block = cidr("100.66.0.0/30");
	CLEANUP_NODE struct node *n = open_with(state, &m);
	add(n, "100.66.0.0/30", 1);
	lends(n, "100.66.0.1", false, NULL);
	refused(node_drain_block(n, &block, true, &e), EBUSY, "not empty");
	assert_int_equal(node_get_mirror(n, &told, &e), 1);
	assert_int_equal(told.n_lent, 1);
	node_close(n);
	n = open_state(state);
	told.mtu[IPV4] = 1400; /* anything else that changes */
	assert_int_equal(node_put_mirror(n, &told, &e), 1);
	assert_int_equal(block_of(n, "100.66.0.0/30").lent, 1);
	takes_back(n, "100.66.0.1/32");
	assert_int_equal(block_of(n, "100.66.0.0/30").lent, 0);
	counts(n, 3, 1); /* it cools down */
	ok(node_drain_block(n, &block, true, &e));
}

static void a_block_that_comes_back_keeps_what_is_lent(void **state)
{
	struct mirror m = copy_of("100.66.0.0/24", 30);
	m.lent[m.n_lent++] = cidr("100.66.0.0/32");
	CLEANUP_NODE struct node *n = open_with(state, &m);
	add(n, "100.66.0.0/30", 1);
	gets(n, "a", &m, "100.66.0.1");
	assert_int_equal(block_of(n, "100.66.0.0/30").lent, 1);
}

static void what_cools_down_is_lent_when_it_must_be(void **state)
{
	struct mirror m = copy_of("100.66.0.0/24", 31);
	CLEANUP_NODE struct node *n = open_with(state, &m);
	add(n, "100.66.0.0/31", 1);
	gets(n, "a", &m, "100.66.0.0");
	gets(n, "b", &m, "100.66.0.1");
	ends(n, "a");
	ends(n, "b");
	lends(n, "100.66.0.1", false, "");
	lends(n, "100.66.0.1", true, NULL);
	counts(n, 0, 1);
}

static void a_node_lends_so_many_and_no_more(void **state)
{
	struct mirror m = copy_of("100.66.0.0/16", 23);
	CLEANUP_NODE struct node *n = open_with(state, &m);
	add(n, "100.66.0.0/23", 1);
	struct addr first = addr("100.66.0.0");
	for (uint64_t i = 0; i < MIRROR_LENT; i++) {
		struct addr a = addr_plus(&first, i);
		lends(n, ADDR_STRING(&a), false, NULL);
	}
	lends(n, "100.66.1.9", false, "");
	takes_back(n, "100.66.0.7/32");
	lends(n, "100.66.1.9", false, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		node_test(a_loan_is_given_when_nothing_else_is_free),
		node_test(a_released_loan_is_the_last_that_is_given_again),
		node_test(a_loan_goes_back_with_its_cool_down_but_not_with_a_pod),
		node_test(a_loan_survives_what_happens_to_its_pool),
		node_test(what_is_lent_is_given_to_no_pod),
		node_test(a_reservation_outlives_pods_mirrors_and_the_agent),
		node_test(a_block_that_comes_back_keeps_what_is_lent),
		node_test(what_cools_down_is_lent_when_it_must_be),
		node_test(a_node_lends_so_many_and_no_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
