/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools and blocks as numbers. A block's index is the bits of its address between the pool's and
 * the block's prefix length; an IPv6 pool may have more blocks than 64 bits count, then the first
 * 2^64 of them are used and counts saturate: no host fills them.
 *
 * What pool_parse_list() lets through cannot be wrong any more: no host bits, no block larger than
 * its pool, no overlap, no prefix that hosts treat specially.
 */
#include "ipam/pool.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "lib/json.h"

/* Prefixes that no pod can use, whatever part of them. */
static const struct {
	const char *cidr;
	const char *what;
} special[] = {
	{"0.0.0.0/8", "unspecified addresses (0.0.0.0/8)"},
	{"127.0.0.0/8", "loopback addresses (127.0.0.0/8)"},
	{"169.254.0.0/16", "link-local addresses (169.254.0.0/16)"},
	{"224.0.0.0/4", "multicast addresses (224.0.0.0/4)"},
	{"255.255.255.255/32", "broadcast addresses (255.255.255.255/32)"},
	{"::/128", "unspecified addresses (::/128)"},
	{"::1/128", "loopback addresses (::1/128)"},
	{"::ffff:0:0/96", "IPv4-mapped addresses (::ffff:0:0/96)"},
	{"fe80::/10", "link-local addresses (fe80::/10)"},
	{"ff00::/8", "multicast addresses (ff00::/8)"},
};

const char *pool_special(const struct cidr *c)
{
	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
		struct cidr s;
		struct err ignored;
		int r = cidr_parse(special[i].cidr, &s, &ignored);
		assert(r == 0);
		(void)r;
		if (cidr_overlaps(&s, c))
			return special[i].what;
	}
	return NULL;
}

static int check_special(const struct cidr *c, const char *where, struct err *e)
{
	const char *what = pool_special(c);
	if (!what)
		return 0;
	char text[CIDR_TEXT];
	cidr_format(c, text);
	return err_set(e, EINVAL, "%s: pool %s contains %s", where, text, what);
}

static int parse_cidr(const json_t *object, const char *where, struct cidr *out, struct err *e)
{
	const char *text = NULL;
	int r = json_get_string(object, where, "cidr", &text, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, EINVAL, "%s: cidr is missing", where);
	struct cidr c;
	r = cidr_parse(text, &c, e);
	if (r < 0) {
		err_add(e, "%s", where);
		return r;
	}
	if (cidr_has_host_bits(&c)) {
		struct cidr masked = cidr_masked(&c.addr, c.len);
		char meant[CIDR_TEXT];
		cidr_format(&masked, meant);
		return err_set(e, EINVAL, "%s: pool %.60s has host bits set; the prefix is %s",
			where, text, meant);
	}
	*out = c;
	return check_special(out, where, e);
}

static int parse_block_len(const json_t *object, const char *where, struct pool *p, struct err *e)
{
	int64_t len = p->cidr.addr.family == AF_INET ? POOL_BLOCK_LEN4 : POOL_BLOCK_LEN6;
	if (len < p->cidr.len)
		len = p->cidr.len;
	int r = json_get_number(object, where, "blockSize", 0, 128, &len, e);
	if (r < 0)
		return r;
	char text[CIDR_TEXT];
	cidr_format(&p->cidr, text);
	if (len > addr_bits(&p->cidr.addr))
		return err_set(e, EINVAL, "%s: blockSize %d is longer than an IPv4 address", where,
			(int)len);
	if (len < p->cidr.len)
		return err_set(e, EINVAL, "%s: a block of /%d is larger than its pool %s", where,
			(int)len, text);
	p->block_len = (uint8_t)len;
	return 0;
}

static int parse_pool(const json_t *object, const char *where, uint32_t cooldown_s,
	struct pool *out, struct err *e)
{
	static const char *const known[] = {"name", "cidr", "blockSize", "cooldownSeconds", NULL};
	if (!json_is_object(object))
		return err_set(e, EBADMSG, "%s is not an object", where);
	int r = json_check_keys(object, where, known, e);
	if (r == 0)
		r = parse_cidr(object, where, &out->cidr, e);
	if (r == 0)
		r = parse_block_len(object, where, out, e);
	if (r < 0)
		return r;
	int64_t cooldown = cooldown_s;
	r = json_get_number(object, where, "cooldownSeconds", 0, POOL_COOLDOWN_MAX_S, &cooldown, e);
	out->cooldown_s = (uint32_t)cooldown;
	return r < 0 ? r : 0;
}

static int check_overlap(const struct pool *pools, size_t n, const char *where, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		if (!cidr_overlaps(&pools[i].cidr, &pools[n].cidr))
			continue;
		char a[CIDR_TEXT];
		char b[CIDR_TEXT];
		cidr_format(&pools[i].cidr, a);
		cidr_format(&pools[n].cidr, b);
		return err_set(e, EINVAL, "%s: pools %s and %s overlap", where, a, b);
	}
	return 0;
}

int pool_parse_list(const json_t *array, const char *where, uint32_t cooldown_s,
	struct pool out[POOL_MAX], size_t *n, struct err *e)
{
	if (!json_is_array(array))
		return err_set(e, EBADMSG, "%s is not an array", where);
	size_t count = json_array_size(array);
	if (count == 0)
		return err_set(e, EINVAL, "%s names no pool", where);
	if (count > POOL_MAX)
		return err_set(e, EINVAL, "%s has %zu pools, at most %d are possible", where, count,
			POOL_MAX);
	for (size_t i = 0; i < count; i++) {
		char place[128];
		(void)snprintf(place, sizeof(place), "%.100s[%zu]", where, i);
		out[i] = (struct pool){0};
		int r = parse_pool(json_array_get(array, i), place, cooldown_s, &out[i], e);
		if (r == 0)
			r = check_overlap(out, i, place, e);
		if (r < 0)
			return r;
	}
	*n = count;
	return 0;
}

/* 2^bits, saturating. */
static uint64_t power_of_two(unsigned int bits)
{
	return bits >= 64 ? UINT64_MAX : (uint64_t)1 << bits;
}

uint64_t pool_sum(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

uint64_t pool_block_count(const struct pool *p)
{
	return power_of_two((unsigned int)(p->block_len - p->cidr.len));
}

uint64_t pool_block_size(const struct cidr *block)
{
	return power_of_two((unsigned int)(addr_bits(&block->addr) - block->len));
}

/* The index is or-ed into the address, bit by bit: the pool has no host bits there. */
struct cidr pool_block(const struct pool *p, uint64_t index)
{
	struct cidr block = {.addr = p->cidr.addr, .len = p->block_len};
	for (unsigned int bit = p->block_len; bit > p->cidr.len && index; index >>= 1) {
		bit--;
		if (index & 1)
			block.addr.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	}
	return block;
}

uint64_t pool_block_index(const struct pool *p, const struct addr *a)
{
	uint64_t index = 0;
	for (unsigned int bit = p->cidr.len; bit < p->block_len; bit++) {
		if (index >> 63)
			return UINT64_MAX;
		index = index << 1 | (a->bytes[bit / 8] >> (7 - bit % 8) & 1);
	}
	return index;
}

struct cidr pool_block_of(const struct pool *p, const struct addr *a)
{
	return cidr_masked(a, p->block_len);
}

const struct pool *pool_find(const struct pool *pools, size_t n, const struct addr *a)
{
	for (size_t i = 0; i < n; i++)
		if (cidr_contains(&pools[i].cidr, a))
			return &pools[i];
	return NULL;
}
