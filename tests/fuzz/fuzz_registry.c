/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: names of entries of the block registry, a folder that every root of the host can write
 * to. A name that is taken names one block, and the block's own name leads to the same.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "ipam/registry.h"
#include "lib/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_FREE char *name = mem_new(size + 1, 1);
	if (size)
		memcpy(name, data, size);
	struct cidr block, again;
	char own[CIDR_TEXT];
	if (!registry_name_parse(name, &block))
		return 0;
	CHECK(!strchr(name, '/') && !cidr_has_host_bits(&block));
	CHECK(block.len <= addr_bits(&block.addr));
	registry_name_format(&block, own);
	CHECK(!strchr(own, '/'));
	CHECK(registry_name_parse(own, &again));
	CHECK(cidr_equal(&block, &again));
	return 0;
}
