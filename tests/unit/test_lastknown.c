/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file that survives a reboot: written and read back, damaged in every way, replaced as a
 * whole.
 */
#include "tests/unit/values.h"

#include "agent/lastknown.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/mem.h"

#define ID "11111111-2222-3333-4444-555555555555"

static char folder[] = "/tmp/roost-lastknown-XXXXXX";

FIXTURE(make_folder)
{
	return mkdtemp(folder) ? 0 : -1;
}

static const char *in_folder(const char *name)
{
	static char path[128];
	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

FIXTURE(empty_folder)
{
	static const char *const names[] = {
		"blocks.json", "blocks.json.new", "blocks.json.damaged", "agent.lock"};
	for (size_t i = 0; i < COUNT(names); i++)
		(void)unlink(in_folder(names[i]));
	return 0;
}

FIXTURE(remove_folder)
{
	return rmdir(folder); /* nothing else was left there */
}

static void fill(struct lastknown *l)
{
	*l = (struct lastknown){.installation = ID, .n_blocks = 2};
	l->blocks = mem_new(2, sizeof(*l->blocks));
	l->blocks[0].cidr = cidr("100.66.0.0/26");
	memcpy(l->blocks[0].state_dir, "/run/roost/state", 17);
	l->blocks[1].cidr = cidr("fd00:66::40/122");
	memcpy(l->blocks[1].state_dir, "/run/b", 7);
	memcpy(l->mirror.node, "node-1", 7);
	memcpy(l->machine, "9c1f4b0f3a5be3a1f0b9b6c2a7d4e811", 33);
	l->store_id = UINT64_C(0xfedcba9876543210);
	l->mirror.mtu[IPV4] = 1450;
	l->mirror.mtu[IPV6] = 1430;
	l->mirror.n_pools = 2;
	l->mirror.pools[0] = (struct mirror_pool){.name = "default",
		.pool = {.cidr = cidr("100.66.0.0/16"), .block_len = 26, .cooldown_s = 30},
		.assigns = true};
	l->mirror.pools[1] = (struct mirror_pool){.name = "six",
		.pool = {.cidr = cidr("fd00:66::/48"), .block_len = 122, .cooldown_s = 0}};
	l->mirror.n_reserved = 1;
	l->mirror.reserved[0] = cidr("100.66.0.8/32");
}

static void assert_same(const struct lastknown *a, const struct lastknown *b)
{
	assert_string_equal(a->installation, b->installation);
	assert_int_equal(a->n_blocks, b->n_blocks);
	for (size_t i = 0; i < a->n_blocks; i++) {
		assert_true(cidr_equal(&a->blocks[i].cidr, &b->blocks[i].cidr));
		assert_string_equal(a->blocks[i].state_dir, b->blocks[i].state_dir);
	}
	assert_string_equal(a->mirror.node, b->mirror.node);
	assert_string_equal(a->machine, b->machine);
	assert_int_equal(a->store_id, b->store_id);
	assert_int_equal(a->mirror.mtu[IPV4], b->mirror.mtu[IPV4]);
	assert_int_equal(a->mirror.mtu[IPV6], b->mirror.mtu[IPV6]);
	assert_int_equal(a->mirror.n_pools, b->mirror.n_pools);
	for (size_t i = 0; i < a->mirror.n_pools; i++) {
		const struct mirror_pool *p = &a->mirror.pools[i], *q = &b->mirror.pools[i];
		assert_string_equal(p->name, q->name);
		assert_int_equal(p->assigns, q->assigns);
		assert_true(cidr_equal(&p->pool.cidr, &q->pool.cidr));
		assert_int_equal(p->pool.block_len, q->pool.block_len);
		assert_int_equal(p->pool.cooldown_s, q->pool.cooldown_s);
	}
	assert_int_equal(a->mirror.n_reserved, b->mirror.n_reserved);
	for (size_t i = 0; i < a->mirror.n_reserved; i++)
		assert_true(cidr_equal(&a->mirror.reserved[i], &b->mirror.reserved[i]));
}

TEST(what_was_stored_is_loaded)
{
	struct lastknown l, back;
	struct err e;
	fill(&l);
	assert_int_equal(lastknown_store(folder, &l, &e), 0);
	if (lastknown_load(folder, &back, &e) != 1)
		fail_msg("%s", e.text);
	assert_same(&l, &back);
	lastknown_done(&back);
	l.n_blocks = 0;
	l.mirror.n_pools = 0;
	l.mirror.n_reserved = 0;
	assert_int_equal(lastknown_store(folder, &l, &e), 0);
	assert_int_equal(lastknown_load(folder, &back, &e), 1);
	assert_same(&l, &back);
	struct stat st;
	assert_int_equal(stat(in_folder("blocks.json"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_not_equal(access(in_folder("blocks.json.new"), F_OK), 0);
	lastknown_done(&back);
	lastknown_done(&l);
}

TEST(a_new_machine_gets_an_id_of_its_own)
{
	struct lastknown a, b;
	struct err e;
	assert_int_equal(lastknown_load(folder, &a, &e), 0);
	assert_int_equal(lastknown_load("/nowhere/at/all", &b, &e), 0);
	assert_true(status_is_id(a.installation) && status_is_id(b.installation));
	assert_string_not_equal(a.installation, b.installation);
	assert_int_equal(a.n_blocks, 0);
	assert_string_equal(a.mirror.node, "");
	assert_int_equal(lastknown_store(folder, &a, &e), 0);
	assert_int_equal(lastknown_load(folder, &b, &e), 1);
	assert_string_equal(a.installation, b.installation);
}

#define HEAD "\"version\":1,\"installation\":\"" ID "\",\"node\":\"n\""
#define LISTS "\"blocks\":[],\"pools\":[],\"reserved\":[]"
#define POOL(more) "\"pools\":[{\"name\":\"p\",\"assigns\":true," more "}]"

TEST(whatever_is_not_as_written_is_damaged)
{
	static const struct {
		const char *text, *error;
	} table[] = {
		{"", "unexpected end of JSON input"},
		{"{" HEAD "," LISTS, "unexpected end of JSON input"},
		{"[]", "not an object"},
		{"{}", "its version is not 1"},
		{"{\"version\":0}", "its version is not 1"},
		{"{" HEAD "," LISTS ",\"x\":1}", "unknown key \"x\" in the document"},
		{"{\"version\":1,\"installation\":\"x\",\"node\":\"n\"}",
			"installation is no UUID"},
		{"{\"version\":1,\"installation\":\"" ID "\",\"node\":\"a b\"}", "node is no name"},
		{"{\"version\":1,\"installation\":\"" ID "\"}", "node is missing"},
		{"{" HEAD ",\"store\":\"x\"}", "store is no id of a store"},
		{"{" HEAD ",\"store\":\"0a\"}", "store is no id of a store"},
		{"{" HEAD ",\"store\":\"fedcba98765432101\"}", "store is no id of a store"},
		{"{" HEAD "}", "blocks is missing"},
		{"{" HEAD ",\"blocks\":[]}", "pools is missing"},
		{"{" HEAD ",\"blocks\":[],\"pools\":[]}", "reserved is missing"},
		{"{" HEAD ",\"blocks\":[7]}", "blocks[0] is not an object"},
		{"{" HEAD ",\"blocks\":[{\"cidr\":\"10.0.0.0/26\"}]}",
			"blocks[0].stateDir is missing"},
		{"{" HEAD ",\"blocks\":[{\"cidr\":\"10.0.0.0/26\",\"stateDir\":\"x\"}]}",
			"blocks[0].stateDir is no folder"},
		{"{" HEAD ",\"blocks\":[{\"cidr\":\"10.0.0.1/26\",\"stateDir\":\"/x\"}]}",
			"blocks[0].cidr is no prefix"},
		{"{" HEAD ",\"blocks\":[{\"cidr\":1,\"stateDir\":\"/x\"}]}",
			"blocks[0].cidr must be a string, not a number"},
		{"{" HEAD ",\"blocks\":[],\"pools\":[7]}", "pools[0] must be an object"},
		{"{" HEAD ",\"blocks\":[]," POOL("\"cidr\":\"10.0.0.0/8\",\"blockSize\":4") "}",
			"pools[0]: a block of /4 is larger than its pool 10.0.0.0/8"},
		{"{" HEAD ",\"blocks\":[]," POOL("\"cidr\":\"127.0.0.0/8\"") "}", "loopback"},
		{"{" HEAD ",\"blocks\":[],\"pools\":[],\"reserved\":[7]}",
			"reserved[0] is not a string"},
		{"{" HEAD "," LISTS ",\"mtu4\":70000}", "mtu4 is 70000, must be between 0"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct lastknown l = {.n_blocks = 77};
		struct err e;
		int r = lastknown_parse(table[i].text, strlen(table[i].text), &l, &e);
		if (r != -EBADMSG || !strstr(e.text, table[i].error))
			fail_msg("%s: %d, %s", table[i].text, r, e.text);
		assert_int_equal(l.n_blocks, 77);
	}
}

static void write_file(const char *name, const char *text, size_t len)
{
	int fd = open(in_folder(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), (ssize_t)len);
	assert_int_equal(close(fd), 0);
}

/* A file cut at any byte is found out. */
TEST(a_damaged_file_is_set_aside_and_named)
{
	struct lastknown l, back;
	struct err e;
	fill(&l);
	CLEANUP_FREE char *text = lastknown_format(&l);
	size_t whole = strlen(text);
	lastknown_done(&l);
	for (size_t len = 0; len < whole; len += 1 + len / 8) {
		write_file("blocks.json", text, len);
		refused(lastknown_load(folder, &back, &e), EBADMSG,
			"blocks.json is damaged, and was set aside as ");
		assert_int_equal(access(in_folder("blocks.json.damaged"), F_OK), 0);
		assert_int_equal(lastknown_load(folder, &back, &e), 0);
		assert_int_equal(back.n_blocks, 0);
	}
	CLEANUP_FREE char *huge = mem_new(1048580, 1);
	memset(huge, ' ', 1048580);
	write_file("blocks.json", huge, 1048580);
	assert_int_equal(lastknown_load(folder, &back, &e), -EBADMSG);
}

/* Who went back to an older roost must not lose the machine's identity by it. */
TEST(a_file_of_a_newer_roost_is_refused_and_stays)
{
	static const char text[] = "{\"version\":2,\"news\":[]}";
	struct lastknown l;
	struct err e;
	write_file("blocks.json", text, strlen(text));
	for (int i = 0; i < 2; i++)
		refused(lastknown_load(folder, &l, &e), EPROTONOSUPPORT,
			"it was written by a newer roost (version 2, this one reads 1)");
	assert_int_equal(unlink(in_folder("blocks.json")), 0);
}

TEST(what_is_no_file_is_an_error_and_stays)
{
	struct lastknown l;
	struct err e;
	assert_int_equal(mkdir(in_folder("blocks.json"), 0700), 0);
	assert_int_equal(lastknown_load(folder, &l, &e), -EISDIR);
	assert_int_equal(rmdir(in_folder("blocks.json")), 0);
	assert_int_equal(symlink("/etc/hostname", in_folder("blocks.json")), 0);
	assert_int_equal(lastknown_load(folder, &l, &e), -ELOOP);
}

/* A disk that is full: here a bound on the size of files. */
TEST(a_store_that_fails_leaves_the_old_file)
{
	struct lastknown l, back;
	struct err e;
	fill(&l);
	assert_int_equal(lastknown_store(folder, &l, &e), 0);
	struct rlimit old;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	const struct rlimit tiny = {.rlim_cur = 16, .rlim_max = old.rlim_max};
	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tiny), 0);
	struct lastknown empty = {.installation = ID};
	int r = lastknown_store(folder, &empty, &e);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(r, -EFBIG);
	assert_int_not_equal(access(in_folder("blocks.json.new"), F_OK), 0);
	assert_int_equal(lastknown_load(folder, &back, &e), 1);
	assert_same(&l, &back);
	lastknown_done(&back);
	/* What a killed agent left is overwritten. */
	write_file("blocks.json.new", "{", 1);
	assert_int_equal(lastknown_store(folder, &l, &e), 0);
	assert_int_equal(lastknown_load(folder, &back, &e), 1);
	lastknown_done(&back);
	lastknown_done(&l);
}

TEST(one_agent_has_the_folder)
{
	struct err e;
	CLEANUP_FD int first = lastknown_lock(folder, &e);
	assert_true(first >= 0);
	refused(lastknown_lock(folder, &e), EBUSY,
		"another agent uses the data folder /tmp/roost-lastknown-");
	(void)close(first);
	first = lastknown_lock(folder, &e);
	assert_true(first >= 0);
	assert_int_equal(lastknown_lock("/proc/version/x", &e), -ENOTDIR);
}

#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, NULL, empty_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(what_was_stored_is_loaded),
		IN_FOLDER(a_new_machine_gets_an_id_of_its_own),
		IN_FOLDER(whatever_is_not_as_written_is_damaged),
		IN_FOLDER(a_damaged_file_is_set_aside_and_named),
		IN_FOLDER(a_file_of_a_newer_roost_is_refused_and_stays),
		IN_FOLDER(what_is_no_file_is_an_error_and_stays),
		IN_FOLDER(a_store_that_fails_leaves_the_old_file),
		IN_FOLDER(one_agent_has_the_folder),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
