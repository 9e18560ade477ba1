/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: results of other plugins (prevResult, answers of an IPAM plugin), read as each
 * version. What was read prints in every version that has an address to print, and what is printed
 * can be read again and prints the same.
 */
#include "tests/fuzz/fuzz.h"

#include "lib/cni_result.h"
#include "lib/json.h"

static void check_indexes(const struct cni_result *r)
{
	size_t i;
	json_t *ip;
	json_array_foreach (r->ips, i, ip) {
		json_int_t index = json_integer_value(json_object_get(ip, "interface"));
		CHECK(!json_object_get(ip, "interface") ||
			(index >= 0 && (size_t)index < json_array_size(r->interfaces)));
	}
}

static void print_and_read_again(const struct cni_result *r, enum cni_version v)
{
	CLEANUP_JSON json_t *first = NULL;
	CLEANUP_JSON json_t *second = NULL;
	struct err e;
	if (cni_result_format(r, v, &first, &e) < 0) {
		CHECK(v <= CNI_0_2_0 && json_array_size(r->ips) == 0);
		return;
	}
	struct cni_result again;
	CHECK(cni_result_parse(first, v, &again, &e) == 0);
	CHECK(cni_result_format(&again, v, &second, &e) == 0);
	CHECK(json_equal(first, second));
	cni_result_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_JSON json_t *doc = NULL;
	struct err e;
	if (json_parse((const char *)data, size, &doc, &e) < 0)
		return 0;
	for (enum cni_version v = CNI_0_1_0; v <= CNI_1_1_0; v++) {
		struct cni_result r;
		if (cni_result_parse(doc, v, &r, &e) < 0)
			continue;
		check_indexes(&r);
		for (enum cni_version out = CNI_0_1_0; out <= CNI_1_1_0; out++)
			print_and_read_again(&r, out);
		cni_result_done(&r);
	}
	return 0;
}
