/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records as bytes. A struct writer appends fields, a struct reader takes them off and remembers
 * the first thing that was wrong; a record is good when nothing was wrong and nothing is left over.
 * So each value has one description in each direction, and a value of another size, an enum out of
 * range, a string without end or a prefix with host bits are all the same finding: not ours.
 *
 * Integers in values are little-endian, in keys big-endian so that they sort. An address is its
 * family (4 or 6) and its bytes, a prefix the same and its length. Nothing is ever read through a
 * cast pointer: LMDB aligns values to two bytes only.
 */
#include "ipam/record.h"

#include <assert.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/text.h"

static const char magic[10] = "roost-node";

struct writer {
	uint8_t *bytes;
	size_t len;
};

struct reader {
	const uint8_t *bytes;
	size_t len;
	bool bad;
};

static void put_bytes(struct writer *w, const void *bytes, size_t len)
{
	memcpy(w->bytes + w->len, bytes, len);
	w->len += len;
}

static void put_int(struct writer *w, uint64_t v, size_t size)
{
	for (size_t i = 0; i < size; i++)
		w->bytes[w->len++] = (uint8_t)(v >> 8 * i);
}

static void put_big64(struct writer *w, uint64_t v)
{
	for (size_t i = 8; i-- > 0;)
		w->bytes[w->len++] = (uint8_t)(v >> 8 * i);
}

static void put_big16(struct writer *w, uint16_t v)
{
	w->bytes[w->len++] = (uint8_t)(v >> 8);
	w->bytes[w->len++] = (uint8_t)v;
}

static void put_family(struct writer *w, uint8_t family)
{
	put_int(w, family == AF_INET ? 4 : 6, 1);
}

static void put_addr(struct writer *w, const struct addr *a)
{
	put_family(w, a->family);
	put_bytes(w, a->bytes, addr_size(a));
}

static void put_cidr(struct writer *w, const struct cidr *c)
{
	put_addr(w, &c->addr);
	put_int(w, c->len, 1);
}

/* Length, text, NUL; text longer than max is cut. */
static void put_string(struct writer *w, const char *s, size_t max)
{
	size_t len = strnlen(s, max);
	put_int(w, len, 2);
	put_bytes(w, s, len);
	put_int(w, 0, 1);
}

static const uint8_t *take(struct reader *r, size_t len)
{
	if (r->bad || r->len < len) {
		r->bad = true;
		return NULL;
	}
	const uint8_t *p = r->bytes;
	r->bytes += len;
	r->len -= len;
	return p;
}

static void get_bytes(struct reader *r, void *out, size_t len)
{
	const uint8_t *p = take(r, len);
	if (p)
		memcpy(out, p, len);
}

static uint64_t get_int(struct reader *r, size_t size)
{
	const uint8_t *p = take(r, size);
	uint64_t v = 0;
	for (size_t i = size; p && i-- > 0;)
		v = v << 8 | p[i];
	return v;
}

/* An integer below the limit. */
static unsigned int get_small(struct reader *r, unsigned int limit)
{
	uint64_t v = get_int(r, 1);
	if (v >= limit) {
		r->bad = true;
		return 0;
	}
	return (unsigned int)v;
}

static uint64_t get_big64(struct reader *r)
{
	const uint8_t *p = take(r, 8);
	uint64_t v = 0;
	for (size_t i = 0; p && i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

static uint16_t get_big16(struct reader *r)
{
	const uint8_t *p = take(r, 2);
	unsigned int v = p ? (unsigned int)p[0] << 8 | p[1] : 0;
	return (uint16_t)v;
}

static uint8_t get_family(struct reader *r)
{
	uint64_t v = get_int(r, 1);
	if (v != 4 && v != 6)
		r->bad = true;
	return v == 4 ? AF_INET : AF_INET6;
}

static struct addr get_addr(struct reader *r)
{
	struct addr a = {.family = get_family(r)};
	get_bytes(r, a.bytes, addr_size(&a));
	return a;
}

static struct cidr get_cidr(struct reader *r)
{
	struct cidr c = {.addr = get_addr(r)};
	c.len = (uint8_t)get_small(r, 129);
	if (c.len > addr_bits(&c.addr) || cidr_has_host_bits(&c))
		r->bad = true;
	return c;
}

static const char *get_string(struct reader *r, size_t max)
{
	size_t len = (size_t)get_int(r, 2);
	const uint8_t *p = len > max ? NULL : take(r, len + 1);
	if (!p || p[len] != '\0' || memchr(p, '\0', len)) {
		r->bad = true;
		return "";
	}
	return (const char *)p;
}

static bool is_done(const struct reader *r)
{
	return !r->bad && r->len == 0;
}

size_t record_key_format(const struct record_key *k, uint8_t out[RECORD_KEY_MAX])
{
	struct writer w = {.bytes = out};
	put_int(&w, (uint64_t)k->kind, 1);
	switch (k->kind) {
	case RECORD_META:
		break;
	case RECORD_POOL:
		put_cidr(&w, &k->pool);
		break;
	case RECORD_BLOCK:
		put_cidr(&w, &k->block);
		break;
	case RECORD_FRESH:
		put_cidr(&w, &k->pool);
		put_cidr(&w, &k->block);
		break;
	case RECORD_ADDR:
		put_addr(&w, &k->addr);
		break;
	case RECORD_OWNER:
		put_bytes(&w, k->owner.bytes, sizeof(k->owner.bytes));
		put_family(&w, k->family);
		break;
	case RECORD_QUEUE:
		put_cidr(&w, &k->pool);
		put_big64(&w, k->released_ns);
		put_addr(&w, &k->addr);
		break;
	case RECORD_MIRROR:
		break;
	case RECORD_MIRROR_POOL:
	case RECORD_MIRROR_RESERVED:
		put_big16(&w, k->position);
		break;
	}
	assert(w.len <= RECORD_KEY_MAX);
	return w.len;
}

/* The fields behind the kind. */
static void get_key(struct reader *r, struct record_key *k)
{
	switch (k->kind) {
	case RECORD_META:
		break;
	case RECORD_POOL:
		k->pool = get_cidr(r);
		break;
	case RECORD_BLOCK:
		k->block = get_cidr(r);
		break;
	case RECORD_FRESH:
		k->pool = get_cidr(r);
		k->block = get_cidr(r);
		r->bad |= !cidr_contains(&k->pool, &k->block.addr) || k->block.len < k->pool.len;
		break;
	case RECORD_ADDR:
		k->addr = get_addr(r);
		break;
	case RECORD_OWNER:
		get_bytes(r, k->owner.bytes, sizeof(k->owner.bytes));
		k->family = get_family(r);
		break;
	case RECORD_QUEUE:
		k->pool = get_cidr(r);
		k->released_ns = get_big64(r);
		k->addr = get_addr(r);
		r->bad |= !cidr_contains(&k->pool, &k->addr);
		break;
	case RECORD_MIRROR:
		break;
	case RECORD_MIRROR_POOL:
	case RECORD_MIRROR_RESERVED:
		k->position = get_big16(r);
		break;
	default:
		r->bad = true;
	}
}

bool record_key_parse(const void *bytes, size_t len, struct record_key *out)
{
	struct reader r = {.bytes = bytes, .len = len};
	struct record_key k = {.kind = (enum record_kind)get_int(&r, 1)};
	get_key(&r, &k);
	if (!is_done(&r))
		return false;
	*out = k;
	return true;
}

size_t record_meta_format(const struct record_meta *m, uint8_t out[RECORD_VALUE_MAX])
{
	struct writer w = {.bytes = out};
	put_bytes(&w, magic, sizeof(magic));
	put_int(&w, RECORD_FORMAT, 2);
	put_bytes(&w, m->boot, BOOT_ID_TEXT - 1);
	put_int(&w, m->id, 8);
	put_int(&w, (uint64_t)m->adoption, 1);
	return w.len;
}

bool record_meta_parse(const void *bytes, size_t len, struct record_meta *out)
{
	struct reader r = {.bytes = bytes, .len = len};
	struct record_meta m = {0};
	char found[sizeof(magic)] = {0};
	get_bytes(&r, found, sizeof(found));
	r.bad |= memcmp(found, magic, sizeof(magic)) != 0;
	r.bad |= get_int(&r, 2) != RECORD_FORMAT;
	get_bytes(&r, m.boot, BOOT_ID_TEXT - 1);
	m.id = get_int(&r, 8);
	m.adoption = (enum record_adoption)get_small(&r, RECORD_ADOPTED + 1);
	if (!is_done(&r))
		return false;
	*out = m;
	return true;
}

size_t record_pool_format(const struct record_pool *p, uint8_t out[RECORD_VALUE_MAX])
{
	struct writer w = {.bytes = out};
	put_int(&w, p->block_len, 1);
	put_int(&w, p->cooldown_s, 4);
	put_int(&w, p->next, 8);
	put_int(&w, p->blocks, 8);
	return w.len;
}

bool record_pool_parse(const void *bytes, size_t len, struct record_pool *out)
{
	struct reader r = {.bytes = bytes, .len = len};
	struct record_pool p = {.block_len = (uint8_t)get_small(&r, 129)};
	p.cooldown_s = (uint32_t)get_int(&r, 4);
	p.next = get_int(&r, 8);
	p.blocks = get_int(&r, 8);
	if (!is_done(&r))
		return false;
	*out = p;
	return true;
}

/* One byte of flags where a state of before the cluster has "loose" alone: so its records are read
 * as they are. */
enum { FLAG_LOOSE = 1, FLAG_CLUSTER = 2, FLAG_DRAINING = 4, FLAG_DISOWNED = 8, FLAGS = 16 };

size_t record_block_format(const struct record_block *b, uint8_t out[RECORD_VALUE_MAX])
{
	struct writer w = {.bytes = out};
	unsigned int flags = (b->loose ? FLAG_LOOSE : 0u) | (b->cluster ? FLAG_CLUSTER : 0u) |
			     (b->draining ? FLAG_DRAINING : 0u) |
			     (b->disowned ? FLAG_DISOWNED : 0u);
	put_int(&w, b->pool_len, 1);
	put_int(&w, b->quarantined, 1);
	put_int(&w, flags, 1);
	put_int(&w, b->next, 8);
	put_int(&w, (uint64_t)b->since_s, 8);
	return w.len;
}

bool record_block_parse(const void *bytes, size_t len, struct record_block *out)
{
	struct reader r = {.bytes = bytes, .len = len};
	struct record_block b = {.pool_len = (uint8_t)get_small(&r, 129)};
	b.quarantined = get_small(&r, 2);
	unsigned int flags = get_small(&r, FLAGS);
	b.loose = flags & FLAG_LOOSE;
	b.cluster = flags & FLAG_CLUSTER;
	b.draining = flags & FLAG_DRAINING;
	b.disowned = flags & FLAG_DISOWNED;
	b.next = get_int(&r, 8);
	b.since_s = (int64_t)get_int(&r, 8);
	if (!is_done(&r))
		return false;
	*out = b;
	return true;
}

size_t record_addr_format(const struct record_addr *a, uint8_t out[RECORD_VALUE_MAX])
{
	struct writer w = {.bytes = out};
	put_int(&w, (uint64_t)a->state, 1);
	put_int(&w, a->owner.foreign, 1);
	put_int(&w, (uint64_t)a->since_s, 8);
	put_int(&w, a->released_ns, 8);
	put_int(&w, a->owner.netns, 8);
	put_bytes(&w, a->owner.hash.bytes, sizeof(a->owner.hash.bytes));
	put_string(&w, a->owner.network, 255);
	put_string(&w, a->owner.container, 1023);
	put_string(&w, a->owner.ifname, 15);
	put_string(&w, a->owner.pod_namespace, 255);
	put_string(&w, a->owner.pod_name, 255);
	assert(w.len <= RECORD_VALUE_MAX);
	return w.len;
}

bool record_addr_parse(const void *bytes, size_t len, struct record_addr *out)
{
	struct reader r = {.bytes = bytes, .len = len};
	struct record_addr a = {.state = (enum record_state)get_small(&r, RECORD_QUARANTINED + 1)};
	a.owner.foreign = get_small(&r, 2);
	a.since_s = (int64_t)get_int(&r, 8);
	a.released_ns = get_int(&r, 8);
	a.owner.netns = get_int(&r, 8);
	get_bytes(&r, a.owner.hash.bytes, sizeof(a.owner.hash.bytes));
	a.owner.network = get_string(&r, 255);
	a.owner.container = get_string(&r, 1023);
	a.owner.ifname = get_string(&r, 15);
	a.owner.pod_namespace = get_string(&r, 255);
	a.owner.pod_name = get_string(&r, 255);
	if (!is_done(&r))
		return false;
	*out = a;
	return true;
}

static void get_text(struct reader *r, char *out, size_t size)
{
	(void)text_copy(out, size, get_string(r, size - 1));
}

size_t record_mirror_format(const struct mirror *m, uint8_t out[RECORD_VALUE_MAX])
{
	struct writer w = {.bytes = out};
	put_string(&w, m->node, sizeof(m->node) - 1);
	put_string(&w, m->socket, sizeof(m->socket) - 1);
	put_int(&w, m->mtu[IPV4], 4);
	put_int(&w, m->mtu[IPV6], 4);
	put_int(&w, m->n_pools, 2);
	put_int(&w, m->n_reserved, 2);
	return w.len;
}

bool record_mirror_parse(const void *bytes, size_t len, struct mirror *out)
{
	struct reader r = {.bytes = bytes, .len = len};
	get_text(&r, out->node, sizeof(out->node));
	get_text(&r, out->socket, sizeof(out->socket));
	out->mtu[IPV4] = (uint32_t)get_int(&r, 4);
	out->mtu[IPV6] = (uint32_t)get_int(&r, 4);
	out->n_pools = get_int(&r, 2);
	out->n_reserved = get_int(&r, 2);
	return is_done(&r) && out->n_pools <= POOL_MAX && out->n_reserved <= MIRROR_RESERVED;
}

size_t record_mirror_pool_format(const struct mirror_pool *p, uint8_t out[RECORD_VALUE_MAX])
{
	struct writer w = {.bytes = out};
	put_cidr(&w, &p->pool.cidr);
	put_int(&w, p->pool.block_len, 1);
	put_int(&w, p->pool.cooldown_s, 4);
	put_int(&w, p->assigns, 1);
	put_string(&w, p->name, sizeof(p->name) - 1);
	return w.len;
}

bool record_mirror_pool_parse(const void *bytes, size_t len, struct mirror_pool *out)
{
	struct reader r = {.bytes = bytes, .len = len};
	struct mirror_pool p = {.pool.cidr = get_cidr(&r)};
	p.pool.block_len = (uint8_t)get_small(&r, addr_bits(&p.pool.cidr.addr) + 1u);
	p.pool.cooldown_s = (uint32_t)get_int(&r, 4);
	p.assigns = get_small(&r, 2);
	get_text(&r, p.name, sizeof(p.name));
	if (!is_done(&r) || p.pool.block_len < p.pool.cidr.len)
		return false;
	*out = p;
	return true;
}

size_t record_prefix_format(const struct cidr *c, uint8_t out[RECORD_VALUE_MAX])
{
	struct writer w = {.bytes = out};
	put_cidr(&w, c);
	return w.len;
}

bool record_prefix_parse(const void *bytes, size_t len, struct cidr *out)
{
	struct reader r = {.bytes = bytes, .len = len};
	struct cidr c = get_cidr(&r);
	if (!is_done(&r))
		return false;
	*out = c;
	return true;
}

size_t record_owner_format(const struct addr *a, uint8_t out[RECORD_VALUE_MAX])
{
	struct writer w = {.bytes = out};
	put_addr(&w, a);
	return w.len;
}

bool record_owner_parse(const void *bytes, size_t len, struct addr *out)
{
	struct reader r = {.bytes = bytes, .len = len};
	struct addr a = get_addr(&r);
	if (!is_done(&r))
		return false;
	*out = a;
	return true;
}
