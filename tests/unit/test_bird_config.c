/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/values.h"

#include "agent/bird/config.h"
#include "agent/bird/write.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "tests/bird/birdwant.h"
#include "tests/unit/golden.h"

static char *text_of_case(const char *dir)
{
	char *input = golden_read(dir, "want.json", NULL);
	assert_non_null(input);
	json_t *doc = json_of(input);
	struct birdwant *w = birdwant_new(doc);
	char *text = bird_config_text(&w->want);
	birdwant_free(w);
	json_decref(doc);
	free(input);
	return text;
}

static void run_case(const char *dir, char *out, size_t size)
{
	char *text = text_of_case(dir);
	assert_true(text_copy(out, size, text));
	free(text);
}

TEST(each_description_gives_its_text)
{
	golden_run("bird", run_case);
}

/* A family with n peers, hops and remote blocks, in an order that depends on start. */
static struct bird_want *many(size_t n, size_t start)
{
	struct bird_want *w = mem_new(1, sizeof(*w));
	struct bird_peer *peers = mem_new(n, sizeof(*peers));
	struct bird_hop *hops = mem_new(n, sizeof(*hops));
	struct bird_remote *remote = mem_new(4 * n, sizeof(*remote));
	struct bird_pool *pool = mem_new(1, sizeof(*pool));
	struct addr first, block;
	first = addr("10.1.0.1");
	block = addr("100.64.0.0");
	*pool = (struct bird_pool){.cidr = cidr_masked(&block, 10), .block_len = 26};
	for (size_t i = 0; i < n; i++) {
		size_t k = (i + start) % n;
		struct addr node = addr_plus(&first, k + 1);
		peers[i] = (struct bird_peer){.addr = node,
			.local = first,
			.as_number = 64512,
			.local_as = 64512,
			.mesh = true};
		hops[i] = (struct bird_hop){
			.dst = cidr_of_host(&node), .via = node, .dev = "tunl0", .onlink = true};
		for (size_t b = 0; b < 4; b++) {
			struct addr a = addr_plus(&block, (4 * k + b) * 64);
			remote[4 * i + b] =
				(struct bird_remote){.block = cidr_masked(&a, 26), .node = node};
		}
	}
	w->router_id = first;
	w->family[IPV4] = (struct bird_family){.node = first,
		.pools = pool,
		.n_pools = 1,
		.hops = {hops},
		.n_hops = {n},
		.remote = remote,
		.n_remote = 4 * n};
	w->peers = peers;
	w->n_peers = n;
	return w;
}

static void free_many(struct bird_want *w)
{
	free((void *)w->peers);
	free((void *)w->family[IPV4].hops[0]);
	free((void *)w->family[IPV4].remote);
	free((void *)w->family[IPV4].pools);
	free(w);
}

TEST(the_order_of_the_input_is_not_in_the_text)
{
	struct bird_want *a = many(500, 0);
	struct bird_want *b = many(500, 123);
	char *x = bird_config_text(a);
	char *y = bird_config_text(b);
	assert_string_equal(x, y);
	assert_says(x, "roost_10_1_1_244 ");
	free(x);
	free(y);
	free_many(a);
	free_many(b);
}

TEST(five_thousand_nodes_are_all_in_the_text)
{
	struct bird_want *w = many(5000, 7);
	char *text = bird_config_text(w);
	size_t lines = 0;
	for (const char *at = text; (at = strstr(at, " recursive 10.1.")); at++)
		lines++;
	assert_int_equal(lines, 20000);
	free(text);
	free_many(w);
}

TEST(only_what_fits_between_quotes_is_quotable)
{
	static const struct {
		const char *text;
		bool yes;
	} table[] = {
		{"", true},
		{"secret", true},
		{"a b'c\\d#{};", true},
		{"pass\xc3\xa4", true},
		{"a\"b", false},
		{"a\nb", false},
		{"a\rb", false},
		{"a\tb", false},
		{"a\x7f", false},
	};
	for (size_t i = 0; i < COUNT(table); i++)
		assert_int_equal(bird_write_is_quotable(table[i].text), table[i].yes);
}

TEST(a_device_that_could_be_a_keyword_is_refused)
{
	static const char *const yes[] = {"tunl0", "vxlan.roost", "vxlan.roost6", "wg0", "enp3s0",
		"a-b", "x:y", "v_x.1", "eth0.100"};
	static const char *const no[] = {"", "overlay", "static", "s", "ipv4", "sha256", "data1",
		"ospf_metric1", "RTS_BGP", "1", "0a", "eth0@x", "a'0", "a\"0", "a 0", "eth0\xc3"};
	for (size_t i = 0; i < COUNT(yes); i++)
		assert_true(bird_write_is_device(yes[i]));
	for (size_t i = 0; i < COUNT(no); i++)
		assert_false(bird_write_is_device(no[i]));
}

TEST(the_main_configuration_includes_by_patterns)
{
	static const struct {
		const char *file, *dir, *expected;
	} table[] = {
		{"/run/roost/bird.conf", "/etc/bird/roost.d",
			"include \"/ru[n]/roos[t]/bird.con[f]\";\n"
			"include \"/et[c]/bir[d]/roost.[d]/*.conf\";\n"},
		{"/a*b/[x]/c\\d/--/e?.", "", "include \"/a[*][b]/[[][x]]/c\\\\[d]/--/[e][?].\";\n"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		char *text = bird_config_main(table[i].file, table[i].dir);
		assert_says(text, "protocol device");
		assert_string_equal(strstr(text, "include"), table[i].expected);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_description_gives_its_text),
		cmocka_unit_test(the_order_of_the_input_is_not_in_the_text),
		cmocka_unit_test(five_thousand_nodes_are_all_in_the_text),
		cmocka_unit_test(only_what_fits_between_quotes_is_quotable),
		cmocka_unit_test(a_device_that_could_be_a_keyword_is_refused),
		cmocka_unit_test(the_main_configuration_includes_by_patterns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
