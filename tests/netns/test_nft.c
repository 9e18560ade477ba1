/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/nft against the real kernel, in a network namespace of this process alone. Three witnesses: what
 * is read back equals what was built; nft(8) lists it as a person would have written it; and packets over
 * the loopback meet it (the kernel refuses a sendto() whose packet the output hook drops, with EPERM).
 */
#include "tests/unit/values.h"

#include "lib/nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "lib/mem.h"
#include "lib/nft_rule.h"

static struct nft *nft;
static struct err e;

static const struct nft_chain output = {
	.type = "filter", .hook = NF_INET_LOCAL_OUT, .policy = NF_ACCEPT};

FIXTURE(setup)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r = ioctl(fd, SIOCSIFFLAGS, &lo);
	(void)close(fd);
	return r < 0 ? r : nft_open(&nft, &e);
}

FIXTURE(teardown)
{
	nft_close(nft);
	return 0;
}

/* Runs nft(8) with the arguments; its output is in a buffer until the next call. */
static const char *run_nft(const char *const *arguments)
{
	static char out[1 << 16];
	int pipes[2], status = 0;
	assert_int_equal(pipe(pipes), 0);
	pid_t pid = fork();
	if (pid == 0) {
		(void)dup2(pipes[1], STDOUT_FILENO);
		(void)execvp("nft", (char *const *)arguments);
		_exit(127);
	}
	(void)close(pipes[1]);
	size_t n = 0;
	for (ssize_t r = 1; r > 0 && n<sizeof(out) - 1; n += r> 0 ? (size_t)r : 0)
		r = read(pipes[0], out + n, sizeof(out) - 1 - n);
	out[n] = '\0';
	(void)close(pipes[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0)
		fail_msg("nft %s: status %d", arguments[1], status);
	return out;
}

static const char *list(void)
{
	return run_nft((const char *const[]){"nft", "-s", "list", "table", "inet", "t", NULL});
}

static void say(const char *command)
{
	(void)run_nft((const char *const[]){"nft", command, NULL});
}

static bool passes(const char *address, uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(inet_pton(AF_INET, address, &to.sin_addr), 1);
	ssize_t r = sendto(fd, "x", 1, 0, (const struct sockaddr *)&to, sizeof(to));
	bool refused = r < 0 && errno == EPERM;
	(void)close(fd);
	assert_true(r == 1 || refused);
	return !refused;
}

/* Makes it, and sees that the kernel has it. Frees it. */
static void made(struct nft_table *t)
{
	struct nft_table *now = NULL;
	if (nft_replace(nft, t, &e) < 0 || nft_read(nft, t->family, t->name, &now, &e) < 0)
		fail_msg("%s", e.text);
	bool equal = nft_table_equal(t, now);
	for (size_t i = 0; !equal && i < t->n_chains; i++)
		for (size_t j = 0; j < t->chains[i].n_rules; j++) {
			CLEANUP_FREE char *x = nft_rule_text(t, &t->chains[i].rules[j]);
			CLEANUP_FREE char *y =
				now->n_chains > i && now->chains[i].n_rules > j
					? nft_rule_text(now, &now->chains[i].rules[j])
					: mem_strdup("none");
			print_message("built:\n%sread:\n%s", x, y);
		}
	assert_true(equal);
	nft_table_free(now);
	nft_table_free(t);
}

static struct nft_table *table(struct nft_rule **rule)
{
	struct nft_table *t = nft_table_new(NFPROTO_INET, "t");
	struct nft_chain *c = nft_table_chain(t, "out", &output);
	if (rule)
		*rule = nft_chain_rule(c);
	return t;
}

TEST(rules_are_as_a_person_would_write_them)
{
	struct nft_table *t = nft_table_new(NFPROTO_INET, "t");
	nft_table_counter(t, "seen");
	struct nft_chain *c = nft_table_chain(t, "out", &output);
	struct nft_rule *r = nft_chain_rule(c);
	uint32_t mask = NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED);
	uint32_t none = 0;
	nft_load_ct(r, NFT_CT_STATE);
	nft_mask(r, &mask, sizeof(mask));
	nft_compare(r, NFT_CMP_NEQ, &none, sizeof(none));
	nft_count(r);
	nft_rule_verdict(r, NF_ACCEPT, NULL);
	r = nft_chain_rule(c);
	uint8_t net[] = {127, 9, 0, 0}, high[] = {255, 255, 0, 0};
	nft_match_family(r, IPV4);
	nft_load_addr(r, IPV4, false);
	nft_mask(r, high, sizeof(high));
	nft_compare(r, NFT_CMP_EQ, net, sizeof(net));
	nft_match_proto(r, IPPROTO_UDP);
	uint16_t port = htons(53);
	nft_load_port(r, false);
	nft_compare(r, NFT_CMP_EQ, &port, sizeof(port));
	nft_count_in(r, "seen");
	nft_rule_verdict(r, NFT_JUMP, "more");
	r = nft_chain_rule(c);
	nft_match_ifname(r, NFT_META_OIFNAME, "eth", true);
	nft_rule_verdict(r, NFT_RETURN, NULL);
	nft_rule_verdict(nft_chain_rule(nft_table_chain(t, "more", NULL)), NF_DROP, NULL);
	made(t);
	assert_string_equal(list(),
		"table inet t {\n"
		"\tcounter seen {\n"
		"\t}\n\n"
		"\tchain out {\n"
		"\t\ttype filter hook output priority filter; policy accept;\n"
		"\t\tct state established,related counter accept\n"
		"\t\tip daddr 127.9.0.0/16 udp dport 53 counter name \"seen\" jump more\n"
		"\t\toifname != \"eth*\" return\n"
		"\t}\n\n"
		"\tchain more {\n"
		"\t\tdrop\n"
		"\t}\n"
		"}\n");
}

TEST(a_named_counter_counts_what_its_rule_sees)
{
	struct nft_rule *r;
	struct nft_table *t = table(&r);
	uint64_t packets = 9, bytes = 9;
	nft_table_counter(t, "seen");
	uint8_t one[] = {127, 0, 0, 7};
	nft_match_family(r, IPV4);
	nft_load_addr(r, IPV4, false);
	nft_compare(r, NFT_CMP_EQ, one, sizeof(one));
	nft_count_in(r, "seen");
	assert_int_equal(nft_replace(nft, t, &e), 0);
	assert_int_equal(nft_read_counter(nft, t, "seen", &packets, &bytes, &e), 0);
	assert_true(packets == 0 && bytes == 0);
	assert_true(passes("127.0.0.7", 9) && passes("127.0.0.7", 9) && passes("127.0.0.8", 9));
	assert_int_equal(nft_read_counter(nft, t, "seen", &packets, &bytes, &e), 0);
	assert_true(packets == 2 && bytes == 2 * 29);
	refused(nft_read_counter(nft, t, "lost", &packets, &bytes, &e), ENOENT,
		"cannot list object inet t lost");
	nft_table_free(t);
}

TEST(an_anonymous_set_belongs_to_its_rule)
{
	struct nft_rule *r;
	struct nft_table *t = table(&r), *now = NULL, *other = table(NULL);
	const enum nft_type type = NFT_PORT;
	struct nft_set *s = nft_table_set(t, NULL, 0, &type, 1);
	uint16_t ports[] = {htons(80), htons(443)};
	nft_set_add(s, &ports[1], NULL, NULL);
	nft_set_add(s, &ports[0], NULL, NULL);
	nft_match_proto(r, IPPROTO_UDP);
	nft_load_port(r, false);
	nft_lookup(r, s, true);
	nft_rule_verdict(r, NF_DROP, NULL);
	assert_int_equal(nft_replace(nft, t, &e), 0);
	assert_true(
		passes("127.0.0.1", 443) && passes("127.0.0.1", 80) && !passes("127.0.0.1", 81));
	assert_says(list(), "udp dport != { 80, 443 } drop");
	assert_int_equal(nft_read(nft, NFPROTO_INET, "t", &now, &e), 0);
	assert_true(nft_table_equal(t, now));
	s = nft_table_set(other, NULL, 0, &type, 1);
	nft_set_add(s, &ports[0], NULL, NULL);
	r = nft_chain_rule(&other->chains[0]);
	nft_match_proto(r, IPPROTO_UDP);
	nft_load_port(r, false);
	nft_lookup(r, s, true);
	nft_rule_verdict(r, NF_DROP, NULL);
	assert_false(nft_table_equal(other, now));
	nft_table_free(other);
	nft_table_free(now);
	nft_table_free(t);
}

static struct nft_table *intervals(const char *const *list_of, size_t n)
{
	struct nft_rule *r;
	struct nft_table *t = table(&r);
	const enum nft_type type = NFT_IPV4;
	struct nft_set *s = nft_table_set(t, "nets", NFT_SET_INTERVAL, &type, 1);
	for (size_t i = 0; i < n; i++) {
		struct cidr c = cidr(list_of[i]);
		nft_set_add_cidr(s, &c);
	}
	nft_match_family(r, IPV4);
	nft_load_addr(r, IPV4, false);
	nft_lookup(r, s, false);
	nft_rule_verdict(r, NF_DROP, NULL);
	return t;
}

TEST(intervals_end_where_they_end)
{
	const char *const nets[] = {
		"127.1.0.0/16", "127.2.0.0/15", "127.9.9.9/32", "224.0.0.0/3", "0.0.0.0/8"};
	struct nft_kept kept = {.family = NFPROTO_INET, .name = "t"};
	made(intervals(nets, 5));
	assert_string_equal(list(), "table inet t {\n"
				    "\tset nets {\n"
				    "\t\ttype ipv4_addr\n"
				    "\t\tflags interval\n"
				    "\t\telements = { 0.0.0.0/8, 127.1.0.0/16,\n"
				    "\t\t\t     127.2.0.0/15, 127.9.9.9,\n"
				    "\t\t\t     224.0.0.0/3 }\n"
				    "\t}\n\n"
				    "\tchain out {\n"
				    "\t\ttype filter hook output priority filter; policy accept;\n"
				    "\t\tip daddr @nets drop\n"
				    "\t}\n"
				    "}\n");
	assert_true(passes("127.0.255.255", 9) && passes("127.4.0.0", 9) && passes("127.9.9.8", 9));
	assert_false(passes("127.1.0.0", 9) || passes("127.1.255.255", 9) ||
		     passes("127.2.0.1", 9) || passes("127.3.255.254", 9) ||
		     passes("127.9.9.9", 9));
	/* Some go, some come, in one batch, beside those that stay. */
	const char *const later[] = {"127.1.0.0/16", "127.4.0.0/16", "0.0.0.0/8"};
	assert_int_equal(nft_sync(nft, &kept, intervals(later, 3), true, &e), 1);
	assert_false(passes("127.1.0.0", 9) || passes("127.4.0.0", 9));
	assert_true(passes("127.2.0.0", 9) && passes("127.9.9.9", 9));
	assert_int_equal(nft_sync(nft, &kept, intervals(later, 3), true, &e), 0);
	nft_kept_done(&kept);
}

TEST(a_map_gives_the_data_of_a_key)
{
	struct nft_rule *r;
	struct nft_table *t = table(&r);
	const enum nft_type type = NFT_IPV4;
	struct nft_set *s = nft_table_set(t, "marks", 0, &type, 1);
	uint8_t a[] = {127, 0, 0, 1}, b[] = {127, 0, 0, 2};
	uint32_t one = 1, two = 2;
	nft_set_map(s, NFT_MARK);
	nft_set_add(s, a, NULL, &one);
	nft_set_add(s, b, NULL, &two);
	nft_match_family(r, IPV4);
	nft_load_addr(r, IPV4, false);
	nft_load_mapped(r, s);
	nft_compare(r, NFT_CMP_EQ, &two, sizeof(two));
	nft_rule_verdict(r, NF_DROP, NULL);
	made(t);
	assert_says(list(), "type ipv4_addr : mark\n\t\telements = { 127.0.0.1 : 0x00000001, "
			    "127.0.0.2 : 0x00000002 }");
	assert_true(passes("127.0.0.1", 9) && passes("127.0.0.3", 9) && !passes("127.0.0.2", 9));
}

static void add_verdict(struct nft_set *s, const char *address, int code, const char *chain)
{
	struct nft_verdict v = {.code = code};
	struct in_addr a;
	(void)snprintf(v.chain, sizeof(v.chain), "%s", chain);
	assert_int_equal(inet_pton(AF_INET, address, &a), 1);
	nft_set_add(s, &a, NULL, &v);
}

static struct nft_table *dispatch(const char *closed, const char *open)
{
	struct nft_rule *r;
	struct nft_table *t = table(&r);
	const enum nft_type type = NFT_IPV4;
	struct nft_set *s = nft_table_set(t, "by_address", 0, &type, 1);
	nft_set_verdicts(s);
	add_verdict(s, closed, NFT_GOTO, "closed");
	add_verdict(s, open, NF_ACCEPT, "");
	nft_match_family(r, IPV4);
	nft_load_addr(r, IPV4, false);
	nft_dispatch(r, s);
	r = nft_chain_rule(&t->chains[0]);
	nft_count(r);
	nft_rule_verdict(nft_chain_rule(nft_table_chain(t, "closed", NULL)), NF_DROP, NULL);
	return t;
}

TEST(a_verdict_map_sends_packets_to_chains)
{
	struct nft_kept kept = {.family = NFPROTO_INET, .name = "t"};
	made(dispatch("127.0.0.1", "127.0.0.2"));
	assert_says(list(), "type ipv4_addr : verdict\n\t\telements = { 127.0.0.1 : goto closed, "
			    "127.0.0.2 : accept }");
	assert_says(list(), "ip daddr vmap @by_address\n\t\tcounter");
	assert_true(!passes("127.0.0.1", 9) && passes("127.0.0.2", 9) && passes("127.0.0.3", 9));
	/* The same keys with other verdicts, in one batch. */
	assert_int_equal(nft_sync(nft, &kept, dispatch("127.0.0.2", "127.0.0.1"), true, &e), 1);
	assert_true(passes("127.0.0.1", 9) && !passes("127.0.0.2", 9) && passes("127.0.0.3", 9));
	nft_kept_done(&kept);
}

TEST(concatenated_keys_match_as_a_whole)
{
	struct nft_rule *r;
	struct nft_table *t = table(&r);
	const enum nft_type fields[] = {NFT_IPV4, NFT_PROTO, NFT_PORT};
	struct nft_set *s = nft_table_set(t, "services", 0, fields, 3);
	const uint8_t dns[] = {127, 0, 0, 1, IPPROTO_UDP, 0, 0, 0, 0, 53, 0, 0};
	const uint8_t web[] = {127, 0, 0, 2, IPPROTO_TCP, 0, 0, 0, 0, 53, 0, 0};
	nft_set_add(s, dns, NULL, NULL);
	nft_set_add(s, web, NULL, NULL);
	nft_match_family(r, IPV4);
	nft_load_addr(r, IPV4, false);
	nft_load_meta(r, NFT_META_L4PROTO);
	nft_load_port(r, false);
	nft_lookup(r, s, false);
	nft_rule_verdict(r, NF_DROP, NULL);
	made(t);
	const char *text = list();
	assert_says(text, "type ipv4_addr . inet_proto . inet_service");
	assert_says(text, "127.0.0.1 . udp . 53");
	assert_says(text, "ip daddr . meta l4proto . th dport @services drop");
	assert_true(!passes("127.0.0.1", 53) && passes("127.0.0.1", 54) && passes("127.0.0.2", 53));
}

TEST(concatenated_ranges_match_in_every_field)
{
	struct nft_rule *r;
	struct nft_table *t = table(&r);
	const enum nft_type fields[] = {NFT_IPV4, NFT_PORT};
	struct nft_set *s = nft_table_set(t, "ranges", NFT_SET_INTERVAL, fields, 2);
	const uint8_t from[] = {127, 1, 0, 0, 0, 100, 0, 0},
		      to[] = {127, 1, 255, 255, 0, 200, 0, 0};
	nft_set_add(s, from, to, NULL);
	nft_match_family(r, IPV4);
	nft_load_addr(r, IPV4, false);
	nft_load_port(r, false);
	nft_lookup(r, s, false);
	nft_rule_verdict(r, NF_DROP, NULL);
	made(t);
	assert_says(list(), "elements = { 127.1.0.0/16 . 100-200 }");
	assert_false(passes("127.1.2.3", 100) || passes("127.1.255.254", 200));
	assert_true(
		passes("127.1.2.3", 99) && passes("127.1.2.3", 201) && passes("127.2.0.1", 150));
}

TEST(interface_names_are_keys)
{
	struct nft_rule *r;
	struct nft_table *t = table(&r);
	const enum nft_type fields[] = {NFT_IFNAME, NFT_IPV4};
	struct nft_set *s = nft_table_set(t, "links", 0, fields, 2);
	struct nft_set *one = nft_table_set(t, "names", 0, fields, 1);
	s = &t->sets[0];
	const uint8_t key[20] = {'l', 'o', [16] = 127, 0, 0, 1}, name[16] = "lo";
	nft_set_add(s, key, NULL, NULL);
	nft_set_add(one, name, NULL, NULL);
	nft_match_family(r, IPV4);
	nft_load_meta(r, NFT_META_OIFNAME);
	nft_load_addr(r, IPV4, false);
	nft_lookup(r, s, false);
	nft_load_meta(r, NFT_META_OIFNAME);
	nft_lookup(r, one, false);
	nft_rule_verdict(r, NF_DROP, NULL);
	made(t);
	const char *text = list();
	assert_says(text, "elements = { \"lo\" . 127.0.0.1 }");
	assert_says(text, "elements = { \"lo\" }");
	assert_true(!passes("127.0.0.1", 9) && passes("127.0.0.2", 9));
}

/*
 * Changes.
 */

static struct nft_table *addresses(uint32_t n)
{
	struct nft_rule *r;
	struct nft_table *t = table(&r);
	const enum nft_type type = NFT_IPV4;
	struct nft_set *s = nft_table_set(t, "addresses", 0, &type, 1);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t a = htonl(0x7f010000 + i);
		nft_set_add(s, &a, NULL, NULL);
	}
	nft_match_family(r, IPV4);
	nft_load_addr(r, IPV4, false);
	nft_lookup(r, s, false);
	nft_count(r);
	nft_rule_verdict(r, NF_DROP, NULL);
	return t;
}

TEST(one_element_more_touches_nothing_else)
{
	struct nft_kept kept = {.family = NFPROTO_INET, .name = "t"};
	made(addresses(2));
	assert_false(passes("127.1.0.0", 9));
	for (uint32_t n = 1; n < 4; n++)
		assert_int_equal(nft_sync(nft, &kept, addresses(n), false, &e), 1);
	assert_false(passes("127.1.0.1", 9) || passes("127.1.0.2", 9));
	assert_true(passes("127.1.0.3", 9));
	/* The rule is the first one still: its counter has all. */
	const char *const whole[] = {"nft", "list", "table", "inet", "t", NULL};
	assert_says(run_nft(whole), "counter packets 3 bytes 87 drop");
	nft_kept_done(&kept);
}

TEST(ten_thousand_elements_go_in_one_batch)
{
	struct nft_kept kept = {.family = NFPROTO_INET, .name = "t"};
	assert_int_equal(nft_sync(nft, &kept, addresses(20000), false, &e), 1);
	assert_int_equal(nft_sync(nft, &kept, addresses(20000), true, &e), 0);
	assert_false(passes("127.1.0.0", 9) || passes("127.1.78.31", 9));
	assert_true(passes("127.1.78.32", 9));
	assert_int_equal(nft_sync(nft, &kept, addresses(10000), false, &e), 1);
	assert_true(passes("127.1.78.31", 9));
	assert_int_equal(nft_sync(nft, &kept, addresses(10000), true, &e), 0);
	nft_kept_done(&kept);
}

TEST(a_refusal_names_the_message_and_nothing_has_changed)
{
	struct nft_table *t = table(NULL);
	made(addresses(1));
	nft_rule_verdict(nft_chain_rule(&t->chains[0]), NF_ACCEPT, NULL);
	nft_rule_verdict(nft_chain_rule(&t->chains[0]), NFT_JUMP, "nowhere");
	refused_with(nft_replace(nft, t, &e), ENOENT,
		"cannot add a rule to chain inet t out: No such file or directory");
	nft_table_free(t);
	assert_false(passes("127.1.0.0", 9));
	t = table(NULL);
	nft_rule_verdict(nft_chain_rule(&t->chains[0]), NFT_JUMP, "a");
	nft_rule_verdict(nft_chain_rule(nft_table_chain(t, "a", NULL)), NFT_JUMP, "b");
	nft_rule_verdict(nft_chain_rule(nft_table_chain(t, "b", NULL)), NFT_JUMP, "a");
	refused(nft_replace(nft, t, &e), EMLINK, ": Too many links");
	nft_table_free(t);
	assert_false(passes("127.1.0.0", 9));
	t = table(NULL);
	t->chains[0].hook = 77;
	assert_true(nft_replace(nft, t, &e) < 0);
	assert_says(e.text, "cannot add chain inet t out: ");
	nft_table_free(t);
	refused_with(nft_delete(nft, NFPROTO_INET, "none", &e), ENOENT,
		"cannot delete table inet none: No such file or directory");
	assert_int_equal(nft_delete(nft, NFPROTO_INET, "t", &e), 0);
	assert_true(passes("127.1.0.0", 9));
}

TEST(what_others_change_is_found_by_a_look_and_mended)
{
	static const char *const commands[] = {"delete table inet t", "flush ruleset",
		"flush chain inet t out", "add rule inet t out accept",
		"insert rule inet t out accept", "add element inet t addresses { 10.0.0.1 }",
		"delete element inet t addresses { 127.1.0.0 }", "add chain inet t more",
		"add set inet t more { type ipv4_addr; }", "add counter inet t more",
		"add chain inet t out { policy drop; }", "add table inet t { flags dormant; }"};
	struct nft_kept kept = {.family = NFPROTO_INET, .name = "t"};
	assert_int_equal(nft_sync(nft, &kept, addresses(2), false, &e), 1);
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		say(commands[i]);
		assert_int_equal(nft_sync(nft, &kept, addresses(2), false, &e), 0);
		if (nft_sync(nft, &kept, addresses(2), true, &e) != 1)
			fail_msg("%s: not found", commands[i]);
		assert_int_equal(nft_sync(nft, &kept, addresses(2), true, &e), 0);
	}
	/* Where only an element was asked for, and the table is not as it was left. */
	say("delete element inet t addresses { 127.1.0.1 }");
	assert_int_equal(nft_sync(nft, &kept, addresses(1), false, &e), 1);
	say("flush ruleset");
	assert_int_equal(nft_sync(nft, &kept, addresses(3), false, &e), 1);
	assert_int_equal(nft_sync(nft, &kept, addresses(3), true, &e), 0);
	assert_false(passes("127.1.0.2", 9));
	/* A table that others deleted need not be deleted. */
	say("flush ruleset");
	assert_int_equal(nft_sync(nft, &kept, NULL, false, &e), 1);
	assert_int_equal(nft_sync(nft, &kept, NULL, true, &e), 0);
	nft_kept_done(&kept);
}

TEST(a_new_agent_changes_only_what_differs)
{
	const char *const handles[] = {"nft", "-a", "list", "table", "inet", "t", NULL};
	struct nft_kept kept = {.family = NFPROTO_INET, .name = "t"};
	made(addresses(2));
	CLEANUP_FREE char *before = mem_strdup(run_nft(handles));
	assert_int_equal(nft_sync(nft, &kept, addresses(2), false, &e), 0);
	assert_string_equal(run_nft(handles), before);
	nft_kept_done(&kept);
	assert_int_equal(nft_sync(nft, &kept, NULL, false, &e), 1);
	struct nft_table *now = NULL;
	assert_int_equal(nft_read(nft, NFPROTO_INET, "t", &now, &e), -ENOENT);
	nft_kept_done(&kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_are_as_a_person_would_write_them),
		cmocka_unit_test(a_named_counter_counts_what_its_rule_sees),
		cmocka_unit_test(an_anonymous_set_belongs_to_its_rule),
		cmocka_unit_test(intervals_end_where_they_end),
		cmocka_unit_test(a_map_gives_the_data_of_a_key),
		cmocka_unit_test(a_verdict_map_sends_packets_to_chains),
		cmocka_unit_test(concatenated_keys_match_as_a_whole),
		cmocka_unit_test(concatenated_ranges_match_in_every_field),
		cmocka_unit_test(interface_names_are_keys),
		cmocka_unit_test(one_element_more_touches_nothing_else),
		cmocka_unit_test(ten_thousand_elements_go_in_one_batch),
		cmocka_unit_test(a_refusal_names_the_message_and_nothing_has_changed),
		cmocka_unit_test(what_others_change_is_found_by_a_look_and_mended),
		cmocka_unit_test(a_new_agent_changes_only_what_differs),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
