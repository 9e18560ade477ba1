/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record decoder of the node state: no bytes may crash it, and whatever it accepts must be
 * written back as the very same bytes (so that two records never mean the same). The first byte
 * chooses the kind of record, the rest is a key or a value.
 */
#include "tests/fuzz/fuzz.h"

#include <stddef.h>
#include <string.h>

#include "ipam/record.h"
#include "ipam/record_pod.h"

static void same(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	if (a_len != b_len || memcmp(a, b, a_len) != 0)
		abort();
}

static void try_key(const uint8_t *bytes, size_t len)
{
	struct record_key key;
	uint8_t out[RECORD_KEY_MAX];
	if (record_key_parse(bytes, len, &key))
		same(out, record_key_format(&key, out), bytes, len);
}

static void try_value(uint8_t kind, const uint8_t *bytes, size_t len)
{
	uint8_t out[RECORD_VALUE_MAX];
	struct record_meta meta = {0};
	struct record_pool pool;
	struct record_block block;
	struct record_addr addr;
	struct addr owned;
	struct record_ports ports;
	struct bandwidths limits;
	static struct record_namespace namespace;
	struct record_closed closed;
	struct record_staged staged;
	static struct record_identity identity;
	static struct mirror mirror;
	struct mirror_pool mirror_pool;
	struct cidr prefix;
	if (kind == RECORD_META && record_meta_parse(bytes, len, &meta))
		same(out, record_meta_format(&meta, out), bytes, len);
	else if (kind == RECORD_POOL && record_pool_parse(bytes, len, &pool))
		same(out, record_pool_format(&pool, out), bytes, len);
	else if (kind == RECORD_BLOCK && record_block_parse(bytes, len, &block))
		same(out, record_block_format(&block, out), bytes, len);
	else if (kind == RECORD_ADDR && record_addr_parse(bytes, len, &addr))
		same(out, record_addr_format(&addr, out), bytes, len);
	else if (kind == RECORD_OWNER && record_owner_parse(bytes, len, &owned))
		same(out, record_owner_format(&owned, out), bytes, len);
	else if (kind == RECORD_NAMESPACE && record_namespace_parse(bytes, len, &namespace))
		same(out, record_namespace_format(&namespace, out), bytes, len);
	else if (kind == RECORD_LIMITS && record_limits_parse(bytes, len, &limits))
		same(out, record_limits_format(&limits, out), bytes, len);
	else if (kind == RECORD_PORTS && record_ports_parse(bytes, len, &ports))
		same(out, record_ports_format(&ports, out), bytes, len);
	else if (kind == RECORD_CLOSED && record_closed_parse(bytes, len, &closed))
		same(out, record_closed_format(&closed, out), bytes, len);
	else if (kind == RECORD_STAGED && record_staged_parse(bytes, len, &staged))
		same(out, record_staged_format(&staged, out), bytes, len);
	else if (kind == RECORD_IDENTITY && record_identity_parse(bytes, len, &identity))
		same(out, record_identity_format(&identity, out), bytes, len);
	else if (kind == RECORD_MIRROR && record_mirror_parse(bytes, len, &mirror))
		same(out, record_mirror_format(&mirror, out), bytes, len);
	else if (kind == RECORD_MIRROR_POOL && record_mirror_pool_parse(bytes, len, &mirror_pool))
		same(out, record_mirror_pool_format(&mirror_pool, out), bytes, len);
	else if (kind == RECORD_MIRROR_RESERVED && record_prefix_parse(bytes, len, &prefix))
		same(out, record_prefix_format(&prefix, out), bytes, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	/* An exact copy: reading past its end is seen. */
	uint8_t *copy = malloc(size);
	if (!copy)
		abort();
	memcpy(copy, data, size);
	if (copy[0] == 'K')
		try_key(copy + 1, size - 1);
	else
		try_value(copy[0], copy + 1, size - 1);
	free(copy);
	return 0;
}
