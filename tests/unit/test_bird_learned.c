/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/values.h"

#include "agent/bird/learned.h"

#include <stdio.h>

#include "agent/bird/config.h"
#include "agent/bird/reply.h"
#include "lib/mem.h"
#include "lib/text.h"

#define KEPT_MS (BIRD_KEPT_S * 1000)

/* The blocks in the list, with a space behind each. */
static const char *list_of(const struct bird_learned *l)
{
	static char out[512];
	struct text t = TEXT_ON(out);
	*out = '\0';
	for (size_t i = 0; i < l->n; i++)
		text_add(&t, "%s ", CIDR_STRING(&l->blocks[i]));
	return out;
}

#define ROUTE(prefix)                                                                              \
	"1007 " prefix "        unicast [roost_10_0_0_2 10:00:00.000] * (100/?) [i]\n"             \
	"1007 \tvia 10.0.0.2 on eth0\n"
#define HEAD "1007 Table master4:\n"
#define END "0000 \n"

TEST(routes_are_read_whatever_stands_around_them)
{
	static const char text[] = HEAD ROUTE(
		"100.66.0.64/26") "1007 100.66.0.0/26\tunreachable [x]\n"
				  "1007                      unicast [roost_10_0_0_3 10:00:00.000] "
				  "(100) [i]\n"
				  "1006 100.66.9.0/26 no route\n1007 100.66.9.0/99 x\n1007 \n"
				  "1007 fd66::/122 unicast\n" END;
	static const char *const prefixes[] = {"100.66.0.64/26", "100.66.0.0/26", "fd66::/122"};
	const char *at = text;
	struct cidr c;
	for (size_t i = 0; i < COUNT(prefixes); i++) {
		assert_true(bird_reply_route(&at, &c));
		assert_string_equal(CIDR_STRING(&c), prefixes[i]);
	}
	assert_false(bird_reply_route(&at, &c));
	assert_false(bird_reply_route(&at, &c));
}

TEST(a_block_stays_for_its_time_after_bgp_lost_it)
{
	struct bird_learned l = {0};
	assert_true(bird_learned_take(
		&l, IPV4, HEAD ROUTE("100.66.0.64/26") ROUTE("100.66.0.0/26") END, 1000));
	assert_string_equal(list_of(&l), "100.66.0.0/26 100.66.0.64/26 ");
	assert_false(bird_learned_take(&l, IPV4, HEAD ROUTE("100.66.0.0/26") END, 2000));
	assert_false(bird_learned_take(&l, IPV4, HEAD END, 1000 + KEPT_MS - 1));
	assert_string_equal(list_of(&l), "100.66.0.0/26 100.66.0.64/26 ");
	assert_true(bird_learned_take(&l, IPV4, HEAD END, 1000 + KEPT_MS));
	assert_string_equal(list_of(&l), "100.66.0.0/26 ");
	assert_true(bird_learned_take(&l, IPV4, "9001 syntax error\n", 2000 + KEPT_MS));
	assert_string_equal(list_of(&l), "");
	bird_learned_done(&l);
}

TEST(families_do_not_speak_for_each_other)
{
	struct bird_learned l = {0};
	assert_true(bird_learned_take(&l, IPV6, HEAD ROUTE("fd66::/122") END, 0));
	assert_true(bird_learned_take(&l, IPV4, HEAD ROUTE("100.66.0.0/26") END, KEPT_MS));
	assert_string_equal(list_of(&l), "100.66.0.0/26 fd66::/122 ");
	assert_false(
		bird_learned_take(&l, IPV4, ROUTE("fd77::/122") ROUTE("100.66.0.0/26"), KEPT_MS));
	assert_true(bird_learned_take(&l, IPV6, END, KEPT_MS));
	assert_string_equal(list_of(&l), "100.66.0.0/26 ");
	bird_learned_done(&l);
}

TEST(time_passes_only_while_bird_answers)
{
	struct bird_learned l = {0};
	assert_true(bird_learned_take(&l, IPV4, HEAD ROUTE("100.66.0.0/26") END, 0));
	bird_learned_renew(&l, 10 * KEPT_MS);
	assert_false(bird_learned_take(&l, IPV4, HEAD END, 11 * KEPT_MS - 1));
	assert_true(bird_learned_take(&l, IPV4, HEAD END, 11 * KEPT_MS));
	bird_learned_done(&l);
}

/* The text comes from the very function that writes it. */
TEST(an_agent_that_starts_finds_the_copies_in_the_text)
{
	static const struct bird_pool pools[] = {
		{.block_len = 26, .exported = true, .by_bgp = true},
		{.block_len = 122, .exported = true, .by_bgp = true}};
	struct bird_pool four = pools[0], six = pools[1];
	four.cidr = cidr("100.66.0.0/16");
	six.cidr = cidr("fd66::/48");
	const struct cidr own[] = {cidr("100.66.1.0/26")};
	const struct bird_remote remote[] = {{cidr("100.66.2.0/26"), addr("10.0.0.2"), 0}};
	const struct bird_remote kept4[] = {{cidr("100.66.0.64/26"), addr("10.0.0.2"), 0},
		{cidr("100.66.0.0/26"), addr("10.0.0.3"), 0}};
	const struct bird_remote kept6[] = {{cidr("fd66::/122"), addr("fd00::2"), 0}};
	const struct bird_want w = {
		.router_id = addr("10.0.0.1"),
		.family = {{.node = addr("10.0.0.1"),
				   .pools = &four,
				   .n_pools = 1,
				   .own = own,
				   .n_own = 1,
				   .remote = remote,
				   .n_remote = 1,
				   .kept = kept4,
				   .n_kept = 2},
			{.node = addr("fd00::1"),
				.pools = &six,
				.n_pools = 1,
				.kept = kept6,
				.n_kept = 1}},
	};
	struct bird_learned l = {0};
	CLEANUP_FREE char *text = bird_config_text(&w);
	bird_learned_from_text(&l, text, 5);
	assert_string_equal(list_of(&l), "100.66.0.0/26 100.66.0.64/26 fd66::/122 ");
	assert_int_equal(l.seen_ms[2], 5);
	bird_learned_done(&l);
}

TEST(other_texts_have_none)
{
	static const char *const texts[] = {"", "protocol static roost_kept4 {\n",
		"\nprotocol static roost_kept4 {\n\troute 100.66.0.0/26 recursive 10.0.0.2;\n",
		("\nprotocol static roost_kept4 {\n\troute 100.66.0.0/99 x;\n\troute \n"
		 "\troute 11111111111111111111111111111111111111111111111111111111111111 x;\n}\n"),
		"\nprotocol static roost_kept6 {\n\tipv6;\n}\n\troute fd66::/122 x;\n"};
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct bird_learned l = {0};
		bird_learned_from_text(&l, texts[i], 0);
		assert_int_equal(l.n, 0);
		bird_learned_done(&l);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes_are_read_whatever_stands_around_them),
		cmocka_unit_test(a_block_stays_for_its_time_after_bgp_lost_it),
		cmocka_unit_test(families_do_not_speak_for_each_other),
		cmocka_unit_test(time_passes_only_while_bird_answers),
		cmocka_unit_test(an_agent_that_starts_finds_the_copies_in_the_text),
		cmocka_unit_test(other_texts_have_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
