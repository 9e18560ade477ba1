/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/policy/writer.h against the real kernel, in a network namespace of this process alone, with rule
 * sets made by hand: how nft(8) lists them, how one becomes the next, and what holds when batches are refused,
 * answers are lost and others change the table. lib/netlink's calls fail where a test wants it (--wrap).
 */
#include "tests/unit/values.h"

#include "agent/policy/writer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "agent/policy/policy_nft.h"
#include "lib/mem.h"
#include "lib/nft_edit.h"
#include "lib/policy_gate.h"

static struct policy_writer *writer;
static struct err e;

/* Of the calls that talk to the kernel, from now on, the one of this number fails so; 0: none. */
static int failing, failure;

int __real_netlink_send(int fd, const void *messages, size_t size, struct err *err);
int __real_netlink_receive(int fd, char *buf, size_t size, struct err *err);
int __wrap_netlink_send(int fd, const void *messages, size_t size, struct err *err);
int __wrap_netlink_receive(int fd, char *buf, size_t size, struct err *err);

static bool fails_now(void)
{
	return failing > 0 && --failing == 0;
}

int __wrap_netlink_send(int fd, const void *messages, size_t size, struct err *err)
{
	if (fails_now())
		return err_set(err, failure, "cannot talk to the kernel: %s", strerror(failure));
	return __real_netlink_send(fd, messages, size, err);
}

/* What the kernel did was done, and what it said is lost. */
int __wrap_netlink_receive(int fd, char *buf, size_t size, struct err *err)
{
	if (fails_now())
		return err_set(
			err, failure, "cannot read the kernel's answer: %s", strerror(failure));
	return __real_netlink_receive(fd, buf, size, err);
}

static const struct policy_writer_settings settings = {
	.cut_mark = 0x80000, .log = true, .tunnel_ports = {4789}, .ipip = true};

FIXTURE(setup)
{
	failing = 0;
	if (unshare(CLONE_NEWNET) < 0 || policy_writer_open(&writer, &e) < 0)
		return -1;
	policy_writer_set(writer, &settings);
	return 0;
}

FIXTURE(teardown)
{
	failing = 0;
	policy_writer_close(writer);
	return 0;
}

/* Runs nft(8); its output is in a buffer until the next call. */
static const char *run_nft(const char *const *arguments, int *status)
{
	static char out[1 << 16];
	int pipes[2];
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		(void)dup2(pipes[1], STDOUT_FILENO);
		(void)dup2(pipes[1], STDERR_FILENO);
		(void)execvp("nft", (char *const *)arguments);
		_exit(127);
	}
	(void)close(pipes[1]);
	size_t n = 0;
	for (ssize_t r = 1; r > 0; n += r > 0 ? (size_t)r : 0)
		r = read(pipes[0], out + n, sizeof(out) - 1 - n);
	out[n] = '\0';
	(void)close(pipes[0]);
	assert_int_equal(waitpid(pid, status, 0), pid);
	return out;
}

static void say(const char *command)
{
	int status;
	const char *text = run_nft((const char *const[]){"nft", command, NULL}, &status);
	if (status != 0)
		fail_msg("nft %s: %s", command, text);
}

/* A link, by ip(8). */
static int system_link(const char *name)
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0) {
		(void)execlp("ip", "ip", "link", "add", name, "type", "veth", "peer", "name",
			"peer", NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status ? -1 : 0;
}

static const char *list(void)
{
	int status;
	return run_nft(
		(const char *const[]){"nft", "-s", "list", "table", "inet", POLICY_TABLE, NULL},
		&status);
}

/*
 * Rule sets by hand. Each is a value of its own, freed with policy_ruleset_done().
 */

static void name_into(char out[POLICY_OBJECT_NAME], const char *name)
{
	(void)snprintf(out, POLICY_OBJECT_NAME, "%s", name);
}

static struct policy_elements *elements(const void *bytes, size_t n, size_t stride)
{
	struct policy_elements *x = policy_elements_new(n, stride);
	if (n)
		memcpy(x->bytes, bytes, n * stride);
	return x;
}

static struct policy_set set_of(
	const char *name, enum policy_set_kind kind, enum family f, struct policy_elements *x)
{
	struct policy_set s = {.kind = kind, .family = f, .elements = x};
	name_into(s.name, name);
	return s;
}

static struct policy_test in_set(enum policy_test_kind kind, enum family f, const char *set)
{
	struct policy_test t = {.kind = kind, .family = f};
	name_into(t.set, set);
	return t;
}

static struct policy_test number(enum policy_test_kind kind, uint16_t from, uint16_t to)
{
	return (struct policy_test){.kind = kind, .from = from, .to = to};
}

static struct policy_test not(struct policy_test t)
{
	t.negated = true;
	return t;
}

/* A rule with at most three tests (kind POLICY_TEST_FAMILY and from 0: none). */
struct rule_text {
	struct policy_test tests[3];
	const char *counter, *log;
	enum policy_verdict verdict;
	const char *chain;
};

static struct policy_chain chain_of(const char *name, const struct rule_text *rules, size_t n)
{
	struct policy_body *b = policy_body_new(n, 3 * n);
	for (size_t i = 0; i < n; i++) {
		struct policy_chain_rule *r = &b->rules[i];
		memcpy(&b->tests[3 * i], rules[i].tests, sizeof(rules[i].tests));
		r->tests = &b->tests[3 * i];
		while (r->n_tests < 3 && (r->tests[r->n_tests].kind != POLICY_TEST_FAMILY ||
						 r->tests[r->n_tests].from))
			r->n_tests++;
		name_into(r->counter, rules[i].counter ? rules[i].counter : "");
		(void)snprintf(r->log, sizeof(r->log), "%s", rules[i].log ? rules[i].log : "");
		r->verdict = rules[i].verdict;
		name_into(r->chain, rules[i].chain ? rules[i].chain : "");
	}
	b->n = n;
	struct policy_chain c = {.rules = b->rules, .n = n, .body = b};
	name_into(c.name, name);
	return c;
}

/* Adds to a sorted array whose caller adds in the order of names. */
#define ADD(r, member, value)                                                                      \
	do {                                                                                       \
		(r)->member = realloc((r)->member, ((r)->n_##member + 1) * sizeof(*(r)->member));  \
		(r)->member[(r)->n_##member++] = value;                                            \
	} while (0)

static void add_counter(struct policy_ruleset *r, const char *name)
{
	r->counters = realloc(r->counters, (r->n_counters + 1) * sizeof(*r->counters));
	name_into(r->counters[r->n_counters++], name);
}

static void add_link(struct policy_ruleset *r, int link, const char *egress, const char *ingress,
	const char *to_host)
{
	struct policy_dispatch d = {.link = link};
	name_into(d.egress, egress);
	name_into(d.ingress, ingress);
	name_into(d.to_host, to_host);
	ADD(r, dispatch, d);
}

static const uint8_t addrs4[][4] = {{10, 0, 0, 1}, {10, 0, 0, 2}, {10, 0, 0, 3}};
static const uint8_t nets4[][8] = {
	{10, 1, 0, 0, 10, 1, 255, 255}, {240, 0, 0, 0, 255, 255, 255, 255}};
static const uint8_t ports[][8] = {{IPPROTO_TCP, 0, 0, 0, 0, 80}, {IPPROTO_UDP, 0, 0, 0, 0, 53}};
static const uint8_t named6[][24] = {
	{[0] = 0xfd, [15] = 1, [16] = IPPROTO_TCP, [20] = 31, [21] = 144}};

/* One of every kind of set, test and verdict. */
static struct policy_ruleset everything(void)
{
	struct policy_ruleset r = {.is_used = true};
	const uint32_t pair[2] = {1, 1};
	ADD(&r, sets, set_of("a4_x", POLICY_SET_ADDRS, IPV4, elements(addrs4, 1, 4)));
	ADD(&r, sets, set_of("n4_x", POLICY_SET_NETS, IPV4, elements(nets4, 2, 8)));
	ADD(&r, sets, set_of("p_x", POLICY_SET_PORTS, IPV4, elements(ports, 1, 8)));
	ADD(&r, sets, set_of("q6_x", POLICY_SET_ADDR_PORTS, IPV6, elements(named6, 1, 24)));
	ADD(&r, sets, set_of("self", POLICY_SET_LINK_PAIRS, IPV4, elements(pair, 1, 8)));
	const struct rule_text host[] = {{.verdict = POLICY_VERDICT_DROP}};
	const struct rule_text in[] = {
		{{in_set(POLICY_TEST_HAIRPIN, IPV4, "self")}, .verdict = POLICY_VERDICT_ACCEPT},
		{{not(in_set(POLICY_TEST_DESTINATION, IPV4, "n4_x")),
			 number(POLICY_TEST_PROTO, IPPROTO_ICMP, 0),
			 number(POLICY_TEST_ICMP_TYPE, 8, 0)},
			.verdict = POLICY_VERDICT_GOTO, .chain = "pol_x"},
		{{not(number(POLICY_TEST_PROTO, IPPROTO_TCP, 0)),
			 number(POLICY_TEST_FAMILY, AF_INET6, 0),
			 in_set(POLICY_TEST_ADDR_PROTO_DPORT, IPV6, "q6_x")},
			.verdict = POLICY_VERDICT_RETURN}};
	const struct rule_text out[] = {{.verdict = POLICY_VERDICT_JUMP, .chain = "pol_x"},
		{.counter = "class_x", .log = "class_x eg", .verdict = POLICY_VERDICT_DROP}};
	const struct rule_text policy[] = {
		{{in_set(POLICY_TEST_SOURCE, IPV4, "a4_x"),
			 in_set(POLICY_TEST_PROTO_DPORT, IPV4, "p_x")},
			.counter = "pol_x", .verdict = POLICY_VERDICT_ACCEPT},
		{{number(POLICY_TEST_PROTO, IPPROTO_TCP, 0), number(POLICY_TEST_SPORT, 1000, 2000),
			 not(number(POLICY_TEST_DPORT, 22, 22))},
			.log = "pol_x", .verdict = POLICY_VERDICT_NEXT}};
	ADD(&r, chains, chain_of("host_x", host, COUNT(host)));
	ADD(&r, chains, chain_of("in_x", in, COUNT(in)));
	ADD(&r, chains, chain_of("out_x", out, COUNT(out)));
	ADD(&r, chains, chain_of("pol_x", policy, COUNT(policy)));
	add_counter(&r, "class_x");
	add_counter(&r, "pol_x");
	add_link(&r, 1, "out_x", "in_x", "host_x");
	return r;
}

/* A chain for the link 1 that lets in whom a set has, by a name of the caller's. */
static struct policy_ruleset simple(const char *chain, const char *set, size_t n)
{
	struct policy_ruleset r = {.is_used = true};
	const struct rule_text rules[] = {
		{{in_set(POLICY_TEST_SOURCE, IPV4, set)}, .verdict = POLICY_VERDICT_ACCEPT},
		{.counter = "denied", .verdict = POLICY_VERDICT_DROP}};
	ADD(&r, sets, set_of(set, POLICY_SET_ADDRS, IPV4, elements(addrs4, n, 4)));
	ADD(&r, chains, chain_of(chain, rules, COUNT(rules)));
	add_counter(&r, "denied");
	add_link(&r, 1, "", chain, "");
	return r;
}

/* Whether the kernel has it, elements of ADD in the maps aside. */
static bool holds(const struct policy_ruleset *r)
{
	struct nft *nft;
	struct nft_table *now = NULL, *want = policy_nft_new(&settings, r);
	struct nft_edit x;
	ok(nft_open(&nft, &e));
	int done = nft_read(nft, NFPROTO_INET, POLICY_TABLE, &now, &e);
	nft_edit_init(&x, NFPROTO_INET, POLICY_TABLE);
	bool same = done == -ENOENT ? !r->is_used
				    : nft_edit_between(now, want, &x) && nft_edit_is_empty(&x);
	nft_edit_done(&x);
	nft_table_free(now);
	nft_table_free(want);
	nft_close(nft);
	return same;
}

/* A hash that has just got many elements grows behind the batch, and cannot be listed whole meanwhile. */
static bool agrees_soon(void)
{
	int same = policy_writer_agrees(writer, &e);
	for (int i = 0; i < 250 && same != 1; i++) {
		(void)poll(NULL, 0, 20);
		same = policy_writer_agrees(writer, &e);
	}
	return same == 1;
}

/* Writes it, and sees that the kernel has it. */
static void write_all(struct policy_ruleset r, int changed)
{
	int done = policy_writer_sync(writer, &r, &e);
	if (done != changed)
		fail_msg("sync: %d %s", done, done < 0 ? e.text : "");
	if (!agrees_soon())
		fail_msg("the kernel has another table: %.2000s", list());
	policy_ruleset_done(&r);
}

static struct policy_writer_numbers numbers(void)
{
	return policy_writer_numbers(writer);
}

/* Counters say since when they count, which is now. */
static const char *without_times(const char *text)
{
	static const char remark[] = "\t\tcomment \"since ";
	static char out[1 << 14];
	struct text t = TEXT_ON(out);
	while (*text) {
		size_t line = strcspn(text, "\n");
		line += text[line] == '\n';
		if (strncmp(text, remark, sizeof(remark) - 1) != 0)
			text_add_bytes(&t, text, line);
		text += line;
	}
	assert_false(t.cut);
	return out;
}

TEST(rules_are_as_a_person_would_write_them)
{
	write_all(everything(), 1);
	static char expected[1 << 14];
	const char *text = without_times(list());
	FILE *f = fopen(TEST_DATA "/policy_writer/everything.nft", "re");
	assert_non_null(f);
	expected[fread(expected, 1, sizeof(expected) - 1, f)] = '\0';
	(void)fclose(f);
	if (strcmp(text, expected) != 0)
		(void)fputs(text, stdout);
	assert_true(strcmp(text, expected) == 0);
	write_all(everything(), 0);
}

TEST(a_rule_set_becomes_the_next_one_by_its_difference)
{
	write_all(simple("in_a", "a4_a", 2), 1);
	struct policy_writer_numbers before = numbers();
	write_all(simple("in_a", "a4_a", 3), 1); /* an element comes */
	assert_says(list(), "10.0.0.3");
	write_all(simple("in_a", "a4_a", 1), 1); /* two go */
	assert_says(list(), "elements = { 10.0.0.1 }");
	write_all(simple("in_b", "a4_a", 1), 1); /* the link's chain is another */
	assert_says(list(), "lo\" : goto in_b");
	write_all(simple("in_c", "a4_b", 1), 1); /* all of it */
	assert_int_equal(numbers().replaced, before.replaced);
}

TEST(counters_live_on_when_the_rule_set_changes)
{
	struct policy_count *counts;
	size_t n;
	write_all(simple("in_a", "a4_a", 2), 1);
	say("add counter inet roost-policy by_hand { packets 3 bytes 5 }");
	write_all(simple("in_b", "a4_a", 2), 1); /* a foreign counter goes */
	ok(policy_writer_counts(writer, &counts, &n, &e));
	assert_int_equal(n, 3);
	assert_string_equal(counts[0].name, "cut");
	assert_string_equal(counts[1].name, "denied");
	assert_string_equal(counts[2].name, "pending");
	for (size_t i = 0; i < n; i++) {
		int64_t since = 0;
		assert_true(boot_parse_time(counts[i].since, &since));
		assert_in_range(boot_wall_s() - since, 0, 600);
		assert_says(list(), counts[i].since); /* nft(8) shows it, too */
	}
	free(counts);
	assert_int_equal(numbers().replaced, 1);
}

TEST(what_is_not_used_has_no_table)
{
	struct policy_ruleset none = {0};
	struct policy_count *counts;
	size_t n = 9;
	assert_int_equal(policy_writer_sync(writer, &none, &e) >= 0, 1);
	assert_int_equal(policy_writer_sync(writer, &none, &e), 0);
	ok(policy_writer_counts(writer, &counts, &n, &e));
	assert_int_equal(n, 0);
	free(counts);
	write_all(simple("in_a", "a4_a", 2), 1);
	assert_int_equal(policy_writer_sync(writer, &none, &e), 1);
	assert_says(list(), "No such file or directory");
	assert_true(holds(&none));
	write_all(simple("in_a", "a4_a", 2), 1);
}

TEST(a_writer_that_begins_takes_over_what_stands)
{
	write_all(everything(), 1);
	policy_writer_close(writer);
	ok(policy_writer_open(&writer, &e));
	policy_writer_set(writer, &settings);
	write_all(everything(), 0);
	policy_writer_close(writer);
	ok(policy_writer_open(&writer, &e));
	policy_writer_set(writer, &settings);
	write_all(simple("in_a", "a4_a", 2), 1);
	assert_int_equal(numbers().replaced, 0);
	/* Another setting is another base chain. */
	policy_writer_set(writer, &(struct policy_writer_settings){.cut_mark = 0x100000});
	write_all(simple("in_a", "a4_a", 2), 1);
	assert_int_equal(numbers().replaced, 1);
	assert_says(list(), "ct mark & 0x00100000 != 0x00000000");
}

/* What others do to the table while it is watched. */
TEST(the_table_is_back_whatever_others_do_to_it)
{
	static const char *const deeds[] = {"flush ruleset", "delete table inet roost-policy",
		"flush chain inet roost-policy eg", "flush chain inet roost-policy in_x",
		"delete element inet roost-policy a4_x { 10.0.0.1 }",
		"add element inet roost-policy a4_x { 10.9.9.9 }",
		"insert rule inet roost-policy in accept", "flush map inet roost-policy eg",
		"add chain inet roost-policy mine",
		"add set inet roost-policy mine { type mark; }"};
	for (size_t i = 0; i < COUNT(deeds); i++) {
		bool elements_only = strncmp(deeds[i], "add element", 11) == 0;
		write_all(everything(), i == 0 ? 1 : 0);
		assert_false(policy_writer_read(writer, &e));
		say("add table inet other; delete table inet other");
		assert_false(policy_writer_read(writer, &e)); /* not our table */
		struct pollfd p = {.fd = policy_writer_fd(writer), .events = POLLIN};
		say(deeds[i]);
		assert_int_equal(poll(&p, 1, 1000), 1);
		if (policy_writer_read(writer, &e) == elements_only)
			fail_msg("%s: noticed %d", deeds[i], !elements_only);
		struct policy_ruleset r = everything();
		int done = policy_writer_sync(writer, &r, &e);
		if (!elements_only && (done != 1 || !holds(&r)))
			fail_msg("%s: %d %s", deeds[i], done, list());
		policy_ruleset_done(&r);
		if (elements_only)
			say("delete element inet roost-policy a4_x { 10.9.9.9 }");
		if (elements_only)
			write_all(everything(), 0);
	}
}

TEST(tables_of_others_stay_as_they_are)
{
	int status;
	const char *const theirs[] = {"nft", "list", "table", "ip", "nat", NULL};
	say("table ip nat { chain KUBE-SERVICES { counter packets 7 bytes 9; }; chain DOCKER { "
	    "return; }; }");
	CLEANUP_FREE char *before = mem_strdup(run_nft(theirs, &status));
	write_all(everything(), 1);
	write_all(simple("in_a", "a4_a", 2), 1);
	say("delete table inet roost-policy");
	write_all(everything(), 1);
	write_all((struct policy_ruleset){0}, 1);
	assert_string_equal(run_nft(theirs, &status), before);
}

TEST(elements_that_add_put_into_the_maps_stay)
{
	struct policy_ruleset r = everything();
	char command[128];
	int done;
	assert_int_equal(system_link("roostaaaa"), 0);
	unsigned int link = if_nametoindex("roostaaaa");
	ok(policy_writer_sync(writer, &r, &e));
	(void)snprintf(command, sizeof(command),
		"add element inet roost-policy eg { \"roostaaaa\" : goto out_x }");
	say(command);
	assert_false(policy_writer_read(writer, &e));
	done = policy_writer_sync(writer, &r, &e);
	assert_int_equal(done, 0);
	assert_says(list(), "\"roostaaaa\" : goto out_x");
	/* The agent says the same of it, and then otherwise. */
	add_link(&r, (int)link, "out_x", "in_x", "host_x");
	assert_int_equal(policy_writer_sync(writer, &r, &e), 1);
	assert_true(holds(&r));
	say("delete element inet roost-policy in { \"roostaaaa\" }");
	assert_true(policy_writer_read(writer, &e));
	assert_int_equal(policy_writer_sync(writer, &r, &e), 1);
	name_into(r.dispatch[1].egress, "");
	assert_int_equal(policy_writer_sync(writer, &r, &e), 1);
	assert_says(list(), "\"roostaaaa\" : accept");
	assert_int_equal(numbers().replaced, 1);
	policy_ruleset_done(&r);
}

TEST(an_element_of_add_that_is_otherwise_is_put_right)
{
	struct policy_ruleset r = everything();
	ok(policy_writer_sync(writer, &r, &e));
	r.n_dispatch = 0;
	ok(policy_writer_sync(writer, &r, &e));
	say("add element inet roost-policy eg { 1 : accept }");
	r.n_dispatch = 1;
	assert_int_equal(policy_writer_sync(writer, &r, &e), 1);
	assert_true(holds(&r));
	policy_ruleset_done(&r);
}

TEST(the_gate_of_add_is_part_of_the_table)
{
	const struct policy_gate_way way = {"in_x", "out_x", ""};
	struct policy_ruleset r = everything();
	assert_int_equal(policy_gate_ensure(&e), 1);
	ok(policy_writer_sync(writer, &r, &e));
	assert_int_equal(policy_gate_stands(&e), 1);
	assert_int_equal(policy_gate_ensure(&e), 0);
	assert_int_equal(system_link("roostaaaa"), 0);
	ok(policy_gate_open((int)if_nametoindex("roostaaaa"), &way, &e));
	assert_int_equal(policy_writer_read(writer, &e), 0);
	assert_int_equal(policy_writer_sync(writer, &r, &e), 0);
	assert_says(list(), "\"roostaaaa\" : goto out_x");
	policy_ruleset_done(&r);
}

/* A change, of which one call fails: it ends well at once or with the next sync, and in between the kernel has the old
 * table or the new one. */
static bool one_call_fails(int which, int error)
{
	struct policy_ruleset old = everything(), new = simple("in_a", "a4_a", 2);
	ok(policy_writer_sync(writer, &old, &e));
	failing = which;
	failure = error;
	int done = policy_writer_sync(writer, &new, &e);
	bool has_failed = failing == 0;
	failing = 0;
	bool is_old = holds(&old);
	bool is_new = holds(&new);
	if (!is_new && (done >= 0 || !is_old))
		fail_msg("call %d fails with %s: %d, table %s", which, strerror(error), done,
			list());
	if (done < 0)
		ok(policy_writer_sync(writer, &new, &e));
	assert_true(holds(&new));
	policy_ruleset_done(&old);
	policy_ruleset_done(&new);
	return has_failed;
}

TEST(each_call_may_fail_once)
{
	static const int errors[] = {ENOBUFS, EBUSY, ENOENT, EINTR, ENOMEM};
	for (size_t i = 0; i < COUNT(errors); i++) {
		int calls = 0;
		while (one_call_fails(calls + 1, errors[i]))
			calls++;
		assert_true(calls >= 2); /* a batch, and its answer */
	}
}

/* The same where there was no table. */
static bool one_call_of_the_first_write_fails(int which, int error)
{
	struct policy_ruleset none = {0}, r = everything();
	ok(policy_writer_sync(writer, &none, &e));
	failing = which;
	failure = error;
	int done = policy_writer_sync(writer, &r, &e);
	bool has_failed = failing == 0;
	failing = 0;
	if (done < 0)
		ok(policy_writer_sync(writer, &r, &e));
	assert_true(holds(&r));
	policy_ruleset_done(&r);
	return has_failed;
}

TEST(the_first_write_may_fail_once)
{
	static const int errors[] = {ENOBUFS, EBUSY, ENOENT, EINTR};
	for (size_t i = 0; i < COUNT(errors); i++) {
		int calls = 0;
		while (one_call_of_the_first_write_fails(calls + 1, errors[i]))
			calls++;
		assert_true(calls >= 2);
	}
}

/* A rule set that the kernel refuses as a whole leaves what was there. */
TEST(a_refused_batch_leaves_the_old_rules)
{
	struct policy_ruleset good = simple("in_a", "a4_a", 2), bad = simple("in_b", "a4_b", 2);
	const struct rule_text loop[] = {{.verdict = POLICY_VERDICT_JUMP, .chain = "nowhere"}};
	ADD(&bad, chains, chain_of("in_c", loop, 1));
	ok(policy_writer_sync(writer, &good, &e));
	refused(policy_writer_sync(writer, &bad, &e), ENOENT,
		"add a rule to chain inet roost-policy in_c");
	assert_true(holds(&good));
	assert_true(numbers().refused > 0);
	write_all(simple("in_b", "a4_b", 2), 1);
	policy_ruleset_done(&good);
	policy_ruleset_done(&bad);
}

static struct policy_ruleset many(uint32_t n, uint32_t from)
{
	struct policy_ruleset r = simple("in_a", "a4_a", 0);
	policy_elements_unref(r.sets[0].elements);
	r.sets[0].elements = policy_elements_new(n, 4);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t a = htonl(0x0a000000 + from + i);
		memcpy(r.sets[0].elements->bytes + 4 * (size_t)i, &a, 4);
	}
	return r;
}

TEST(fifty_thousand_elements_come_stay_and_go)
{
	write_all(many(50000, 0), 1);
	write_all(many(50000, 1), 1); /* one goes, one comes */
	write_all(many(50000, 25000), 1);
	say("flush ruleset");
	write_all(many(50000, 25000), 1);
	write_all(many(0, 0), 1);
	assert_int_equal(numbers().replaced, 2);
}

TEST(thousands_of_chains_and_sets_come_and_go)
{
	struct policy_ruleset r = {.is_used = true};
	for (unsigned int i = 0; i < 2000; i++) {
		char set[POLICY_OBJECT_NAME], chain[POLICY_OBJECT_NAME];
		(void)snprintf(set, sizeof(set), "a4_%04u", i);
		(void)snprintf(chain, sizeof(chain), "pol_%04u", i);
		const struct rule_text rules[] = {{{in_set(POLICY_TEST_SOURCE, IPV4, set)},
			.verdict = POLICY_VERDICT_ACCEPT}};
		ADD(&r, sets, set_of(set, POLICY_SET_ADDRS, IPV4, elements(addrs4, 3, 4)));
		ADD(&r, chains, chain_of(chain, rules, 1));
	}
	assert_int_equal(policy_writer_sync(writer, &r, &e), 1);
	assert_true(holds(&r));
	policy_ruleset_done(&r);
	write_all(simple("in_a", "a4_a", 2), 1);
	assert_int_equal(numbers().replaced, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			rules_are_as_a_person_would_write_them, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_rule_set_becomes_the_next_one_by_its_difference, setup, teardown),
		cmocka_unit_test_setup_teardown(
			counters_live_on_when_the_rule_set_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_used_has_no_table, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_writer_that_begins_takes_over_what_stands, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_table_is_back_whatever_others_do_to_it, setup, teardown),
		cmocka_unit_test_setup_teardown(tables_of_others_stay_as_they_are, setup, teardown),
		cmocka_unit_test_setup_teardown(
			elements_that_add_put_into_the_maps_stay, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_gate_of_add_is_part_of_the_table, setup, teardown),
		cmocka_unit_test_setup_teardown(
			an_element_of_add_that_is_otherwise_is_put_right, setup, teardown),
		cmocka_unit_test_setup_teardown(each_call_may_fail_once, setup, teardown),
		cmocka_unit_test_setup_teardown(the_first_write_may_fail_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_refused_batch_leaves_the_old_rules, setup, teardown),
		cmocka_unit_test_setup_teardown(
			fifty_thousand_elements_come_stay_and_go, setup, teardown),
		cmocka_unit_test_setup_teardown(
			thousands_of_chains_and_sets_come_and_go, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
