/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The NAT table's text (golden folders tests/data/nat: "pool CIDR" and "nat CIDR" lines), and
 * the judgement of foreign forward chains (tests/data/firewall: nft's JSON, the pools, the answer).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/filter/nat.h"

#include <errno.h>

#include "agent/filter/firewall.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/unit/golden.h"

#define MAX_CIDRS 16

static struct cidr cidr(const char *s)
{
	struct cidr c;
	struct err e;
	if (cidr_parse(s, &c, &e) < 0)
		fail_msg("%s", e.text);
	return c;
}

/* Lines "WORD CIDR" of a file, those with this word. */
static size_t read_cidrs(const char *dir, const char *word, struct cidr out[MAX_CIDRS])
{
	CLEANUP_FREE char *text = golden_read(dir, "want", NULL);
	assert_non_null(text);
	size_t n = 0;
	char *rest = text;
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		char *value = strchr(line, ' ');
		if (!value)
			continue;
		*value++ = '\0';
		if (strcmp(line, word) == 0)
			out[n++] = cidr(value);
	}
	return n;
}

static void one_text(const char *dir, char *out, size_t size)
{
	struct cidr pools[MAX_CIDRS], nat[MAX_CIDRS];
	struct nat_want w = {.pools = pools, .nat = nat};
	w.n_pools = read_cidrs(dir, "pool", pools);
	w.n_nat = read_cidrs(dir, "nat", nat);
	CLEANUP_FREE char *text = nat_text(&w);
	(void)snprintf(out, size, "%s", text ? text : "no table\n");
}

static void the_table_s_text_is_as_expected(void **state)
{
	(void)state;
	golden_run("nat", one_text);
}

static void the_order_of_pools_does_not_matter(void **state)
{
	(void)state;
	const struct cidr a[] = {cidr("10.1.0.0/16"), cidr("fd00::/48"), cidr("10.0.0.0/16")};
	const struct cidr b[] = {cidr("fd00::/48"), cidr("10.0.0.0/16"), cidr("10.1.0.0/16"),
		cidr("10.1.2.0/24"), cidr("10.1.0.0/16")};
	CLEANUP_FREE char *x =
		nat_text(&(struct nat_want){.pools = a, .n_pools = 3, .nat = a, .n_nat = 3});
	CLEANUP_FREE char *y =
		nat_text(&(struct nat_want){.pools = b, .n_pools = 5, .nat = b, .n_nat = 5});
	assert_string_equal(x, y);
}

static void one_listing(const char *dir, char *out, size_t size)
{
	size_t len = 0;
	CLEANUP_FREE char *text = golden_read(dir, "ruleset.json", &len);
	assert_non_null(text);
	struct cidr pools[MAX_CIDRS];
	size_t n = read_cidrs(dir, "pool", pools), n_tables = 0;
	CLEANUP_JSON json_t *doc = NULL;
	struct err e;
	if (firewall_parse(text, len, &doc, &e) < 0) {
		(void)snprintf(out, size, "%s\n", e.text);
		return;
	}
	struct firewall_table *tables = NULL;
	firewall_tables(doc, &tables, &n_tables);
	size_t used = 0;
	for (size_t i = 0; i < n_tables; i++)
		used += (size_t)snprintf(
			out + used, size - used, "table %s %s\n", tables[i].family, tables[i].name);
	free(tables);
	char sentence[256] = "lets all through";
	int r = firewall_check(doc, pools, n, sentence);
	assert_true(r == 0 || r == 1);
	(void)snprintf(out + used, size - used, "%s\n", sentence);
}

static void foreign_forward_chains_are_judged_as_expected(void **state)
{
	(void)state;
	golden_run("firewall", one_listing);
}

static void a_listing_beyond_all_measure_is_refused(void **state)
{
	(void)state;
	json_t *doc = NULL;
	struct err e;
	assert_int_equal(firewall_parse("[]", (size_t)17 << 20, &doc, &e), -EFBIG);
}

static void names_that_fill_the_sentence_leave_a_shorter_one(void **state)
{
	(void)state;
	char name[100], out[256];
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	struct cidr pool = cidr("fd66:1234:5678:9abc:def0:1234:5678:0/112");
	const struct firewall_place p = {.family = "inet", .table = name, .chain = name};
	firewall_sentence(&p, &pool, 1, out);
	assert_non_null(strstr(out, "a forward chain of table xxx"));
	assert_non_null(strstr(out, "fd66:1234:5678:9abc:def0:1234:5678:0/112: accept them"));
}

static void pools_that_do_not_fit_are_counted(void **state)
{
	(void)state;
	struct cidr pools[MAX_CIDRS];
	char out[256];
	for (uint8_t i = 0; i < MAX_CIDRS; i++) {
		pools[i] = cidr("100.100.0.0/16");
		pools[i].addr.bytes[1] = (uint8_t)(100 + i);
	}
	const struct firewall_place p = {.family = "ip", .table = "filter", .chain = "FORWARD"};
	firewall_sentence(&p, pools, 4, out);
	assert_non_null(strstr(out, "iptables -I FORWARD -d 100.100.0.0/16,100.101.0.0/16,"
				    "100.102.0.0/16,100.103.0.0/16 -j ACCEPT"));
	firewall_sentence(&p, pools, MAX_CIDRS, out);
	assert_string_equal(out, "a forward chain of table filter drops pods' packets from and to "
				 "100.100.0.0/16 and 15 more pools: accept them");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_s_text_is_as_expected),
		cmocka_unit_test(the_order_of_pools_does_not_matter),
		cmocka_unit_test(foreign_forward_chains_are_judged_as_expected),
		cmocka_unit_test(a_listing_beyond_all_measure_is_refused),
		cmocka_unit_test(names_that_fill_the_sentence_leave_a_shorter_one),
		cmocka_unit_test(pools_that_do_not_fit_are_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
