/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node state under everything at once: any sequence of calls against a model, many processes,
 * and processes that are killed. Children are forked before a state is open, since LMDB wants
 * one handle per process and file.
 */
#include "tests/unit/node_place.h"

/* What must be true of a state, said in another way than it is kept. */
#define MODEL_OWNERS 30
struct model {
	bool has[MODEL_OWNERS];
	struct addr addr[MODEL_OWNERS];
	size_t used;
};

static void model_check(struct node *n, const struct model *m)
{
	struct err e;
	struct node_view v;
	size_t used = 0, found = 0;
	ok(node_list(n, &v, &e));
	for (size_t i = 0; i < v.n_pools; i++)
		used += v.pools[i].used;
	for (size_t i = 0; i < v.n_entries; i++)
		for (size_t k = 0; k < MODEL_OWNERS; k++)
			found += v.entries[i]->state == NODE_USED && m->has[k] &&
				 addr_equal(&v.entries[i]->addr, &m->addr[k]);
	for (size_t i = 0; i + 1 < v.n_entries; i++)
		assert_true(addr_compare(&v.entries[i]->addr, &v.entries[i + 1]->addr) < 0);
	assert_int_equal(used, m->used);
	assert_int_equal(found, m->used);
	node_view_done(&v);
}

static void model_assign(struct node *n, struct model *m, const struct pool *p, size_t who)
{
	struct err e;
	char name[16];
	snprintf(name, sizeof(name), "m%zu", who);
	struct node_want w = W(name, p, 2);
	struct addr wish = addr_plus(&p[0].cidr.addr, (uint64_t)(rand() % 16));
	struct node_leases l;
	bool wished = rand() % 4 == 0, taken = false;
	for (size_t k = 0; k < MODEL_OWNERS; k++)
		taken |= k != who && m->has[k] && addr_equal(&m->addr[k], &wish);
	w.requested = &wish;
	w.n_requested = wished;
	int r = node_assign(n, &w, &l, &e);
	if (wished && taken) {
		assert_int_equal(r, -EADDRINUSE);
		return;
	}
	if (r == -EAGAIN) {
		assert_int_equal(m->used, 24);
		return;
	}
	ok(r);
	for (size_t k = 0; k < MODEL_OWNERS; k++)
		assert_false(k != who && m->has[k] && addr_equal(&m->addr[k], &l.v[0].addr));
	if (m->has[who] && !wished)
		assert_true(addr_equal(&m->addr[who], &l.v[0].addr));
	if (!m->has[who] && rand() % 3 == 0) {
		ok(node_unassign(n, &w.owner.hash, &l, &e));
		return;
	}
	m->used += !m->has[who];
	m->has[who] = true;
	m->addr[who] = l.v[0].addr;
}

static void model_step(struct node *n, struct model *m, const struct pool *p)
{
	struct err e;
	size_t who = (size_t)rand() % MODEL_OWNERS;
	char name[16];
	snprintf(name, sizeof(name), "m%zu", who);
	int what = rand() % 100;
	struct cidr *blocks = NULL;
	size_t count;
	if (what < 50) {
		model_assign(n, m, p, who);
		return;
	}
	if (what < 90)
		release(n, name, m->has[who]);
	else if (what < 97 && m->has[who])
		ok(node_release_addr(n, &m->addr[who], &e));
	else if (what >= 97)
		ok(node_return_blocks(n, what == 98, &blocks, &count, &e));
	free(blocks);
	if (what < 97) {
		m->used -= m->has[who];
		m->has[who] = false;
	}
}

static void any_sequence_keeps_the_state_true(void **state)
{
	struct pool p[] = {P("10.0.0.0/28", 30, 0), P("10.1.0.0/29", 32, 3600)};
	CLEANUP_NODE struct node *n = open_state(state);
	struct model m = {0};
	srand(1);
	for (int i = 0; i < 4000; i++) {
		model_step(n, &m, p);
		model_check(n, &m);
	}
}

/* Child i of the stress: assigns and releases; what it holds at the end stays. */
static void work(const struct place *place, int i, unsigned char *held, int rounds)
{
	struct pool p = P("100.66.0.0/24", 28, 0);
	for (int k = 0; k < rounds; k++) {
		char name[16];
		struct err e;
		struct node_leases l;
		struct node *n = NULL;
		snprintf(name, sizeof(name), "w%d", i);
		if (node_open(&n, place->dir, NODE_SHARED, &e) < 0)
			_exit(1);
		n->registry_root = place->hosts;
		if (assign(n, name, &p, 1, &l, &e) < 0)
			_exit(2);
		unsigned char *slot = &held[l.v[0].addr.bytes[3]];
		if (__atomic_add_fetch(slot, 1, __ATOMIC_SEQ_CST) != 1)
			_exit(3); /* somebody else has it */
		node_close(n);
		if (k == rounds - 1)
			_exit(0);
		if (node_open(&n, place->dir, k % 7 ? NODE_SHARED : NODE_EXCLUSIVE, &e) < 0)
			_exit(4);
		__atomic_sub_fetch(slot, 1, __ATOMIC_SEQ_CST);
		struct owner o = O(name);
		if (node_release(n, &o.hash, 1, &e) != 1)
			_exit(5);
		node_close(n);
	}
}

static void thirty_processes_never_share_an_address(void **state)
{
	struct err e;
	const struct place *place = *state;
	unsigned char *held =
		mmap(NULL, 256, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(held, MAP_FAILED);
	pid_t pids[30];
	for (int i = 0; i < 30; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			work(place, i, held, 20);
			_exit(9);
		}
	}
	for (int i = 0; i < 30; i++) {
		int status;
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	struct node *n = open_state(state);
	struct node_view v;
	ok(node_list(n, &v, &e));
	size_t used = 0;
	for (size_t i = 0; i < v.n_entries; i++)
		used += v.entries[i]->state == NODE_USED;
	assert_int_equal(used, 30);
	node_view_done(&v);
	node_close(n);
	munmap(held, 256);
}

static void a_killed_process_leaves_a_sound_state(void **state)
{
	struct err e;
	const struct place *place = *state;
	unsigned char held[256];
	for (int i = 0; i < 60; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			memset(held, 0, sizeof(held));
			work(place, i % 5, held, 100000);
			_exit(0);
		}
		usleep((useconds_t)(i * 397 % 9000));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		struct node *n = open_state(state);
		assert_null(node_set_aside(n));
		struct node_view v;
		ok(node_list(n, &v, &e));
		for (size_t k = 0; k < v.n_entries; k++)
			assert_int_not_equal(v.entries[k]->state, NODE_QUARANTINED);
		node_view_done(&v);
		node_close(n);
	}
	struct node *n = open_state(state);
	for (int i = 0; i < 5; i++) {
		struct node_leases l;
		char name[16];
		snprintf(name, sizeof(name), "w%d", i);
		struct pool p = P("100.66.0.0/24", 28, 0);
		ok(assign(n, name, &p, 1, &l, &e));
		release(n, name, 1);
	}
	struct cidr *blocks;
	size_t count;
	ok(node_return_blocks(n, true, &blocks, &count, &e));
	free(blocks);
	struct node_view v;
	ok(node_list(n, &v, &e));
	assert_int_equal(v.n_blocks, 0);
	node_view_done(&v);
	node_close(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		node_test(any_sequence_keeps_the_state_true),
		node_test(thirty_processes_never_share_an_address),
		node_test(a_killed_process_leaves_a_sound_state),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
