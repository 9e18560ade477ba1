/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of the node state: what cannot be opened, damage, other boots, a lost state and what is
 * known of it, and several state folders of one host.
 */
#include "tests/unit/node_place.h"

static void looking_needs_a_state(void **state)
{
	struct err e;
	const struct place *p = *state;
	struct node *n = NULL;
	refused(node_open(&n, p->dir, NODE_READ, &e), ENOENT, "no node state in");
	assert_int_equal(mkdir(p->dir, 0700), 0);
	refused(node_open(&n, p->dir, NODE_READ, &e), ENOENT, "no node state in");
	node_close(open_in(p, p->dir, NODE_EXCLUSIVE));
	n = open_in(p, p->dir, NODE_READ);
	struct pool pool = P("100.66.0.0/30", 30, 0);
	ok(node_can_assign(n, &pool, 1, &e));
	struct node_view v;
	ok(node_list(n, &v, &e));
	assert_int_equal(v.n_pools, 0);
	node_view_done(&v);
	node_close(n);
	node_close(NULL);
}

static void a_state_folder_that_cannot_be_is_refused(void **state)
{
	struct err e;
	const struct place *p = *state;
	struct node *n;
	char path[8192];
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	refused(node_open(&n, path, NODE_SHARED, &e), ENAMETOOLONG, "too long");
	close(open(p->dir, O_CREAT | O_WRONLY, 0600));
	assert_true(node_open(&n, p->dir, NODE_SHARED, &e) == -ENOTDIR);
}

static void damage(const char *dir, const char *how)
{
	char path[256];
	state_file(dir, path);
	if (strcmp(how, "garbage") == 0) {
		int fd = open(path, O_WRONLY | O_TRUNC);
		assert_int_equal(write(fd, "this is not a database at all", 29), 29);
		close(fd);
	} else if (strcmp(how, "truncated") == 0) {
		assert_int_equal(truncate(path, 8192), 0);
	} else if (strcmp(how, "version") == 0) {
		uint32_t two = 2;
		int fd = open(path, O_WRONLY);
		assert_int_equal(pwrite(fd, &two, 4, 20), 4);
		close(fd);
	} else if (strcmp(how, "foreign") == 0) {
		struct err e;
		struct record_meta meta = {.boot = "00000000-0000-0000-0000-000000000000"};
		unlink(path);
		ok(db_create(path, &meta, &e));
	} else if (strcmp(how, "folder") == 0) {
		unlink(path);
		assert_int_equal(mkdir(path, 0700), 0);
	} else if (strcmp(how, "record") == 0) {
		struct err e;
		struct db *db;
		struct record_meta meta;
		char mark[256];
		node_fault_mark(dir, mark, sizeof(mark));
		ok(db_open(&db, path, mark, false, &meta, &e));
		ok(db_begin(db, true, &e));
		struct record_key k = {.kind = RECORD_ADDR, .addr = addr("100.66.0.0")};
		struct db_value v = {.bytes = {9}, .len = 1};
		ok(db_put(db, &k, &v, &e));
		ok(db_commit(db, &e));
		db_close(db);
	} else {
		char mark[256];
		node_fault_mark(dir, mark, sizeof(mark));
		close(open(mark, O_CREAT | O_WRONLY, 0600));
	}
}

static void a_damaged_state_is_set_aside_and_begun_anew(void **state)
{
	struct err e;
	const struct place *place = *state;
	struct pool p = P("100.66.0.0/24", 26, 60);
	static const char *const how[] = {
		"garbage", "truncated", "version", "foreign", "folder", "mark"};
	for (size_t i = 0; i < COUNT(how); i++) {
		struct node *n = open_state(state);
		struct node_leases l;
		ok(node_adopt(n, NULL, &e));
		ok(assign(n, "a", &p, 1, &l, &e));
		assert_null(node_set_aside(n));
		node_close(n);
		damage(place->dir, how[i]);
		refused(node_open(&n, place->dir, NODE_READ, &e), EUCLEAN, "damaged");
		n = open_state(state);
		assert_non_null(node_set_aside(n));
		assert_says(node_set_aside(n), ".mdb.damaged-");
		assert_int_equal(access(node_set_aside(n), F_OK), 0);
		assert_true(node_needs_adoption(n, false));
		/* The blocks of the lost states are quarantined: each time another one. */
		ok(node_adopt(n, NULL, &e));
		assert_int_equal(state_of(n, "100.66.0.0"), NODE_QUARANTINED);
		struct node_view v;
		ok(node_list(n, &v, &e));
		assert_true(v.n_blocks >= 1);
		node_view_done(&v);
		ok(node_return_blocks(n, true, &(struct cidr *){NULL}, &(size_t){0}, &e));
		node_close(n);
		n = open_state(state);
		assert_null(node_set_aside(n));
		node_close(n);
		damage(place->dir, "mark"); /* the next round begins empty */
		char registry[512];
		snprintf(registry, sizeof(registry), "%s", place->hosts);
		folder_remove(registry);
		node_close(open_state(state));
	}
}

/* Changes the first record of a file: what every format begins with. */
static void write_head(const struct place *p, uint8_t format, char boot)
{
	struct err e;
	struct db *db;
	struct record_meta meta;
	char path[256], mark[256];
	state_file(p->dir, path);
	node_fault_mark(p->dir, mark, sizeof(mark));
	ok(db_open(&db, path, mark, false, &meta, &e));
	ok(db_begin(db, true, &e));
	const struct record_key k = {.kind = RECORD_META};
	struct db_value v = {.len = 0};
	assert_int_equal(db_get(db, &k, &v, &e), 1);
	v.bytes[10] = format; /* behind "roost-node" */
	if (boot)
		v.bytes[12] = (uint8_t)boot;
	v.bytes[v.len++] = 7; /* what that version has more */
	ok(db_put(db, &k, &v, &e));
	ok(db_commit(db, &e));
	db_close(db);
}

static void the_state_of_another_version_is_refused_by_its_format_and_left_alone(void **state)
{
	static const enum node_mode modes[] = {NODE_SHARED, NODE_AGENT, NODE_EXCLUSIVE, NODE_READ};
	struct err e;
	const struct place *p = *state;
	char path[256], mark[256];
	node_close(open_state(state));
	write_head(p, RECORD_FORMAT + 1, '\0');
	state_file(p->dir, path);
	node_fault_mark(p->dir, mark, sizeof(mark));
	for (size_t i = 0; i < COUNT(modes); i++) {
		struct node *n = NULL;
		refused(node_open(&n, p->dir, modes[i], &e), EMEDIUMTYPE,
			"format 2, which another version of roost wrote");
		assert_says(e.details, "drain this node and reboot it");
		assert_int_equal(access(path, F_OK), 0);
		assert_int_equal(access(mark, F_OK), -1);
	}
}

static void the_state_of_another_version_and_another_boot_is_set_aside(void **state)
{
	const struct place *p = *state;
	node_close(open_state(state));
	write_head(p, RECORD_FORMAT + 1, 'x');
	struct node *n = open_state(state);
	assert_non_null(node_set_aside(n));
	node_close(n);
}

/* As after a dd of somebody's, or a disk that ends: from this page on. */
static void ruin_while_open(const struct place *p, off_t page, bool cut)
{
	char path[256];
	uint8_t garbage[4096];
	state_file(p->dir, path);
	if (cut) {
		assert_int_equal(truncate(path, page * 4096), 0);
		return;
	}
	memset(garbage, 0xa5, sizeof(garbage));
	int fd = open(path, O_WRONLY);
	for (off_t i = page; i < page + 16; i++)
		assert_int_equal(pwrite(fd, garbage, sizeof(garbage), i * 4096), sizeof(garbage));
	close(fd);
}

/* 0, or the damage is told; nothing else, and no crash. */
static void ends_in_a_sentence(int r, const struct err *e, bool *told)
{
	if (r >= 0)
		return;
	assert_int_equal(r, -EUCLEAN);
	assert_says(e->text, "the node state is damaged");
	*told = true;
}

static void a_state_that_is_ruined_while_it_is_open_is_told_and_set_aside(void **state)
{
	struct err e;
	const struct place *place = *state;
	struct pool p = P("100.66.0.0/24", 26, 0);
	int found = 0;
	for (int i = 0; i < 24; i++) {
		struct node *n = open_state(state);
		ok(node_adopt(n, NULL, &e));
		struct node_leases l;
		struct node_view v;
		bool told = false;
		ok(assign(n, "a", &p, 1, &l, &e));
		ruin_while_open(place, i / 2, i % 2);
		ends_in_a_sentence(assign(n, "b", &p, 1, &l, &e), &e, &told);
		ends_in_a_sentence(node_find(n, &H("a"), &l, &e), &e, &told);
		ends_in_a_sentence(node_release(n, &H("a"), 1, &e), &e, &told);
		int r = node_list(n, &v, &e);
		ends_in_a_sentence(r, &e, &told);
		if (r >= 0)
			node_view_done(&v);
		node_close(n);
		n = open_state(state);
		if (told)
			assert_non_null(node_set_aside(n));
		found += told;
		ok(node_list(n, &v, &e));
		node_view_done(&v);
		node_close(n);
		folder_remove(place->dir);
		folder_remove(place->hosts);
	}
	assert_in_range(found, 8, 24);
}

static void a_malformed_record_is_reported_and_mended_by_the_next(void **state)
{
	struct err e;
	const struct place *place = *state;
	struct pool p = P("100.66.0.0/24", 26, 60);
	struct node_view v;
	CLEANUP_NODE struct node *n = open_state(state);
	gives(n, "a", &p, 1, "100.66.0.0");
	node_close(n);
	damage(place->dir, "record");
	n = open_state(state);
	refused(node_list(n, &v, &e), EUCLEAN, "the node state is damaged");
	struct node_leases l;
	refused(node_find(n, &H("a"), &l, &e), EUCLEAN, "damaged");
	node_close(n);
	n = open_state(state);
	assert_non_null(node_set_aside(n));
}

static void an_empty_file_is_a_new_state(void **state)
{
	const struct place *p = *state;
	struct node *n;
	char path[256];
	state_file(p->dir, path);
	assert_int_equal(mkdir(p->dir, 0700), 0);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	n = open_state(state);
	assert_null(node_set_aside(n));
	node_close(n);
}

static void files_of_other_boots_are_removed_unopened(void **state)
{
	const struct place *p = *state;
	char path[256];
	assert_int_equal(mkdir(p->dir, 0700), 0);
	snprintf(path, sizeof(path), "%s/node-00000000-0000-0000-0000-000000000000.mdb", p->dir);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	node_close(open_state(state));
	assert_int_equal(access(path, F_OK), -1);
	struct stat st;
	assert_int_equal(stat(p->dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	state_file(p->dir, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

/* What the kernel shows: one link of owner "a" with two addresses, and a block. */
static struct owned kernel_with(struct owned_link *link, struct cidr *block, const char *address)
{
	*link = (struct owned_link){.label = {.owner = O("a").hash,
					    .network = "net",
					    .ifname = "eth0",
					    .container = "a",
					    .pod = "ns/a"}};
	link->addrs[0] = addr(address);
	link->n_addrs = 1;
	return (struct owned){.links = link, .n_links = 1, .blocks = block, .n_blocks = 1};
}

static void a_lost_state_is_rebuilt_from_the_kernel(void **state)
{
	struct err e;
	CLEANUP_NODE struct node *n = open_state(state);
	struct pool p = P("100.66.0.0/16", 26, 0);
	struct owned_link link;
	struct cidr block = cidr("100.66.0.64/26");
	struct owned kernel = kernel_with(&link, &block, "100.66.0.70");
	assert_true(node_needs_adoption(n, false));
	ok(node_adopt(n, &kernel, &e));
	assert_false(node_needs_adoption(n, true));
	ok(node_adopt(n, &kernel, &e));
	assert_int_equal(state_of(n, "100.66.0.70"), NODE_USED);
	assert_int_equal(state_of(n, "100.66.0.71"), NODE_QUARANTINED);
	gives(n, "b", &p, 1, "100.66.0.0"); /* a new block */
	refused(request(n, "c", &p, "100.66.0.71", &e), EADDRINUSE, "100.66.0.71 is quarantined");
	struct addr q = addr("100.66.0.72");
	ok(node_release_addr(n, &q, &e));
	release(n, "a", 1);
	gives_requested(n, "c", &p, "100.66.0.72");
	struct node_view v;
	ok(node_list(n, &v, &e));
	assert_int_equal(v.n_pools, 1);
	assert_int_equal(v.pools[0].blocks, 2);
	assert_int_equal(v.blocks[1].quarantined, 62);
	assert_int_equal(v.blocks[1].used, 1);
	assert_int_equal(v.blocks[1].free, 1);
	assert_int_equal(v.n_entries, 64);
	node_view_done(&v);
	/* The released one, then new blocks; never a quarantined one. */
	for (int i = 0; i < 63; i++) {
		char name[16];
		struct node_leases l;
		snprintf(name, sizeof(name), "n%d", i);
		ok(assign(n, name, &p, 1, &l, &e));
		assert_int_equal(l.v[0].addr.bytes[3], i + 1);
	}
	gives(n, "x", &p, 1, "100.66.0.70");
	gives(n, "y", &p, 1, "100.66.0.128");
}

static void who_cannot_look_leaves_the_rest_to_who_can(void **state)
{
	struct err e;
	const struct place *place = *state;
	struct pool p = P("100.66.0.0/16", 26, 0);
	CLEANUP_NODE struct node *n = open_state(state);
	gives(n, "a", &p, 1, "100.66.0.0");
	node_close(n);
	damage(place->dir, "garbage");
	n = open_state(state);
	ok(node_adopt(n, NULL, &e));
	assert_false(node_needs_adoption(n, false));
	assert_true(node_needs_adoption(n, true));
	assert_int_equal(state_of(n, "100.66.0.0"), NODE_QUARANTINED);
	gives(n, "b", &p, 1, "100.66.0.64");
	struct owned_link link;
	struct cidr block = cidr("100.66.0.64/26");
	struct owned kernel = kernel_with(&link, &block, "100.66.0.0");
	ok(node_adopt(n, &kernel, &e));
	assert_false(node_needs_adoption(n, true));
	assert_int_equal(state_of(n, "100.66.0.0"), NODE_USED);
	assert_int_equal(state_of(n, "100.66.0.1"), NODE_QUARANTINED);
	gives(n, "c", &p, 1, "100.66.0.65");
	node_close(n);
	n = open_state(state);
	assert_false(node_needs_adoption(n, true));
}

static void a_loose_block_of_another_size_is_named(void **state)
{
	struct err e;
	CLEANUP_NODE struct node *n = open_state(state);
	struct owned_link link;
	struct cidr block = cidr("100.66.0.0/28");
	struct owned kernel = kernel_with(&link, &block, "100.66.0.1");
	struct pool p = P("100.66.0.0/24", 26, 0);
	struct pool inside = P("100.66.0.0/30", 30, 0);
	struct node_leases l;
	link.n_addrs = 0;
	ok(node_adopt(n, &kernel, &e));
	refused(assign(n, "a", &p, 1, &l, &e), EINVAL,
		"has blockSize 26, but this node owns block");
	refused(assign(n, "a", &inside, 1, &l, &e), EINVAL, "100.66.0.0/28");
}

static void an_adopted_pod_outside_of_known_blocks_is_kept(void **state)
{
	struct err e;
	CLEANUP_NODE struct node *n = open_state(state);
	struct owned_link link;
	struct owned kernel = kernel_with(&link, NULL, "100.66.0.1");
	struct pool p = P("100.66.0.0/24", 32, 0);
	struct node_leases l;
	kernel.n_blocks = 0;
	link.addrs[1] = addr("100.66.0.2"); /* a second one of the same family */
	link.n_addrs = 2;
	ok(node_adopt(n, &kernel, &e));
	gives(n, "b", &p, 1, "100.66.0.0");
	gives(n, "c", &p, 1, "100.66.0.3");
	ok(assign(n, "a", &p, 1, &l, &e));
	assert_true(l.v[0].was_ours);
	assert_int_equal(l.v[0].addr.bytes[3], 1);
}

static void a_second_state_folder_of_the_host_is_refused(void **state)
{
	struct err e;
	const struct place *place = *state;
	struct pool p = P("100.66.0.0/16", 26, 0);
	struct pool other_size = P("100.66.0.0/16", 24, 0);
	struct node_leases l;
	CLEANUP_NODE struct node *n = open_state(state);
	gives(n, "a", &p, 1, "100.66.0.0");
	node_close(n);
	n = open_in(place, place->other, NODE_SHARED);
	refused(assign(n, "b", &p, 1, &l, &e), EBUSY,
		"pool 100.66.0.0/16 is in use by another state folder of this host");
	assert_says(e.text, place->dir);
	assert_says(e.details, "ipam release --idle-blocks");
	refused(node_can_assign(n, &p, 1, &e), EBUSY, place->dir);
	refused(assign(n, "b", &other_size, 1, &l, &e), EBUSY, place->dir);
	/* A blackhole of the other folder's is not ours. */
	struct owned_link link;
	struct cidr block = cidr("100.66.0.0/26");
	struct owned kernel = kernel_with(&link, &block, "100.66.0.0");
	ok(node_adopt(n, &kernel, &e));
	assert_int_equal(state_of(n, "100.66.0.0"), NODE_FREE);
}

static void the_block_of_a_vanished_state_folder_is_quarantined(void **state)
{
	struct err e;
	const struct place *place = *state;
	struct pool p = P("100.66.0.0/25", 26, 0);
	CLEANUP_NODE struct node *n = open_state(state);
	gives(n, "a", &p, 1, "100.66.0.0");
	node_close(n);
	folder_remove(place->dir);
	n = open_in(place, place->other, NODE_SHARED);
	ok(node_can_assign(n, &p, 1, &e));
	assert_int_equal(state_of(n, "100.66.0.0"), NODE_FREE);
	gives(n, "b", &p, 1, "100.66.0.64");
	assert_int_equal(state_of(n, "100.66.0.0"), NODE_QUARANTINED);
}

static void a_claim_that_was_killed_is_simply_used(void **state)
{
	struct err e;
	const struct place *place = *state;
	struct pool p = P("100.66.0.0/25", 26, 0);
	CLEANUP_NODE struct node *n = open_state(state);
	gives(n, "a", &p, 1, "100.66.0.0");
	/* As if killed between the entry and the commit: an entry of this state for the next
	 * block. */
	char dir[512], from[1024], to[1024], target[512], boot[BOOT_ID_TEXT];
	ok(boot_id(boot, &e));
	snprintf(dir, sizeof(dir), "%s/%s-%llu", place->hosts, boot,
		(unsigned long long)ns_own_cookie());
	snprintf(from, sizeof(from), "%s/100.66.0.0-26", dir);
	snprintf(to, sizeof(to), "%s/100.66.0.64-26", dir);
	ssize_t len = readlink(from, target, sizeof(target) - 1);
	assert_true(len > 0);
	target[len] = '\0';
	assert_int_equal(symlink(target, to), 0);
	gives_requested(n, "b", &p, "100.66.0.64");
	assert_int_equal(state_of(n, "100.66.0.65"), NODE_FREE);
	release(n, "b", 1);
	release(n, "a", 1);
	struct cidr *blocks;
	size_t count;
	ok(node_return_blocks(n, true, &blocks, &count, &e));
	free(blocks);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(symlink(target, to), 0);
	ok(node_return_blocks(n, true, &blocks, &count, &e)); /* takes the vain entry away */
	free(blocks);
	assert_int_equal(readlink(to, target, sizeof(target)), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		node_test(looking_needs_a_state),
		node_test(a_state_folder_that_cannot_be_is_refused),
		node_test(a_damaged_state_is_set_aside_and_begun_anew),
		node_test(the_state_of_another_version_is_refused_by_its_format_and_left_alone),
		node_test(the_state_of_another_version_and_another_boot_is_set_aside),
		node_test(a_state_that_is_ruined_while_it_is_open_is_told_and_set_aside),
		node_test(a_malformed_record_is_reported_and_mended_by_the_next),
		node_test(an_empty_file_is_a_new_state),
		node_test(files_of_other_boots_are_removed_unopened),
		node_test(a_lost_state_is_rebuilt_from_the_kernel),
		node_test(who_cannot_look_leaves_the_rest_to_who_can),
		node_test(a_loose_block_of_another_size_is_named),
		node_test(an_adopted_pod_outside_of_known_blocks_is_kept),
		node_test(a_second_state_folder_of_the_host_is_refused),
		node_test(the_block_of_a_vanished_state_folder_is_quarantined),
		node_test(a_claim_that_was_killed_is_simply_used),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
