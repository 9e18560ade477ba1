/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of overlapping pools counts: the oldest, whoever asks.
 */
#include "tests/unit/check.h"
#include "tests/unit/values.h"

#include "cluster/pools.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/text.h"

static struct resource pool_of(const char *name, const char *prefix, int64_t created_s)
{
	struct resource r = {.kind = RESOURCE_IPPOOL, .created_s = created_s};
	(void)text_copy(r.name, sizeof(r.name), name);
	r.pool.pool = (struct pool){.cidr = cidr(prefix), .block_len = 26};
	return r;
}

TEST(the_older_pool_counts_then_the_uid_then_the_name)
{
	struct resource a = pool_of("a", "10.0.0.0/8", 0), b = pool_of("b", "10.0.0.0/8", 0);
	assert_true(pools_is_older(&a, &b));
	assert_false(pools_is_older(&b, &a));
	assert_false(pools_is_older(&a, &a));
	(void)text_copy(a.uid, sizeof(a.uid), "2");
	(void)text_copy(b.uid, sizeof(b.uid), "1");
	assert_true(pools_is_older(&b, &a));
	b.created_s = 1; /* a has no time */
	assert_true(pools_is_older(&b, &a));
	a.created_s = 2;
	assert_true(pools_is_older(&b, &a));
	b.created_s = 3;
	assert_true(pools_is_older(&a, &b));
}

TEST(a_pool_is_left_out_by_an_older_one_that_is_left_out_itself)
{
	struct resource first = pool_of("first", "10.1.0.0/17", 1);
	struct resource wide = pool_of("wide", "10.1.0.0/16", 2);
	struct resource last = pool_of("last", "10.1.128.0/17", 3);
	struct resource other = pool_of("other", "10.2.0.0/16", 4);
	struct resource six = pool_of("six", "::/0", 0);
	const struct resource *const all[] = {&last, &six, &wide, &other, &first};
	const struct resource *over[COUNT(all)];
	pools_judge(all, COUNT(all), over);
	assert_ptr_equal(over[0], &wide);
	assert_null(over[1]);
	assert_ptr_equal(over[2], &first);
	assert_null(over[3]);
	assert_null(over[4]);
}

/* The walk over all says what each says by itself; at least one pool always counts. */
TEST(one_answer_for_one_pool_and_for_all)
{
	enum { N = 40 };
	static struct resource pools[N];
	const struct resource *all[N], *over[N];
	srandom(1);
	for (int round = 0; round < 2000; round++) {
		size_t n = 1 + (size_t)random() % N, counted = 0;
		for (size_t i = 0; i < n; i++) {
			char prefix[32], name[8];
			unsigned int len = 8 + (unsigned int)random() % 6;
			uint32_t net = (10u << 24 | ((uint32_t)random() & 0xff0000)) &
				       (UINT32_MAX << (32 - len));
			(void)snprintf(prefix, sizeof(prefix), "%u.%u.%u.%u/%u", net >> 24,
				net >> 16 & 255, net >> 8 & 255, net & 255, len);
			(void)snprintf(name, sizeof(name), "p%zu", i);
			pools[i] = pool_of(name, prefix, random() % 5);
			all[i] = &pools[i];
		}
		pools_judge(all, n, over);
		for (size_t i = 0; i < n; i++) {
			assert_ptr_equal(over[i], pools_over(all[i], all, n));
			counted += !over[i];
		}
		assert_true(counted > 0);
	}
}

/* name, spec and time of documents of a list. */
static void check_given(const char *const (*docs)[3], size_t n, bool gives, bool meets)
{
	struct pools_read p = {0};
	const struct cidr block = cidr("100.66.0.0/26");
	bool met;
	pools_read_add(&p, NULL);
	pools_read_add(&p, "garbage");
	pools_read_add(&p, "{\"apiVersion\":\"projectcalico.org/v3\",\"kind\":\"Node\","
			   "\"metadata\":{\"name\":\"p\"},\"spec\":{}}");
	for (size_t i = 0; i < n; i++) {
		char doc[512];
		(void)snprintf(doc, sizeof(doc),
			"{\"apiVersion\":\"projectcalico.org/"
			"v3\",\"kind\":\"IPPool\",\"metadata\":{"
			"\"name\":\"%s\",\"creationTimestamp\":\"2026-11-30T14:00:0%sZ\"},"
			"\"spec\":{%s}}",
			docs[i][0], docs[i][2], docs[i][1]);
		pools_read_add(&p, doc);
	}
	assert_int_equal(pools_read_give(&p, "p", &block, &met), gives);
	assert_int_equal(met, meets);
	pools_read_done(&p);
}

TEST(only_a_good_pool_that_counts_gives_a_block)
{
	static const char good[] = "\"cidr\":\"100.66.0.0/16\",\"blockSize\":26";
	static const struct {
		const char *docs[2][3];
		bool gives, meets;
	} table[] = {
		{{{"p", good, "1"}}, true, false},
		{{{"q", good, "1"}}, false, false},
		{{{"p", "\"cidr\":\"100.66.0.0/16\",\"blockSize\":26,\"disabled\":true", "1"}},
			false, false},
		{{{"p", "\"cidr\":\"100.66.0.0/16\",\"blockSize\":27", "1"}}, false, false},
		{{{"p", "\"cidr\":\"100.67.0.0/16\",\"blockSize\":26", "1"}}, false, false},
		{{{"p", "\"cidr\":7", "1"}}, false, false},
		{{{"p", "\"cidr\":\"100.66.0.0/16\",\"allowedUses\":[\"LoadBalancer\"]", "1"}},
			false, false},
		{{{"p", good, "1"}, {"q", "\"cidr\":\"100.67.0.0/16\"", "0"}}, true, false},
		{{{"p", good, "1"}, {"q", "\"cidr\":\"100.66.0.0/24\"", "0"}}, false, false},
		{{{"p", good, "1"}, {"q", "\"cidr\":\"100.66.0.0/24\"", "2"}}, true, true},
		{{{"p", good, "1"}, {"q", "\"cidr\":\"100.66.9.0/24\"", "2"}}, true, false},
		{{{"p", good, "1"}, {"q", "\"cidr\":\"100.66.9.0/24\"", "0"}}, false, false},
	};
	for (size_t i = 0; i < COUNT(table); i++)
		check_given(
			table[i].docs, table[i].docs[1][0] ? 2 : 1, table[i].gives, table[i].meets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_older_pool_counts_then_the_uid_then_the_name),
		cmocka_unit_test(a_pool_is_left_out_by_an_older_one_that_is_left_out_itself),
		cmocka_unit_test(one_answer_for_one_pool_and_for_all),
		cmocka_unit_test(only_a_good_pool_that_counts_gives_a_block),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
