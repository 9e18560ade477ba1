/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records as bytes. A record has one description, a function that names its fields in order; a
 * struct coder goes through it in either direction. Writing, it appends the fields and gives each
 * back as it was; reading, it takes them off and remembers whether anything was wrong. A record is
 * good when nothing was wrong and nothing is left over: a value of another size, an enum out of
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

#include "ipam/record_pod.h"
#include "lib/text.h"

static const char magic[10] = "roost-node";

struct coder {
	uint8_t *out;	   /* NULL: reading */
	const uint8_t *in; /* what is left to read */
	size_t len;	   /* written, or left */
	bool bad;
};

static const uint8_t *code_take(struct coder *c, size_t len)
{
	if (c->bad || c->len < len) {
		c->bad = true;
		return NULL;
	}
	const uint8_t *p = c->in;
	c->in += len;
	c->len -= len;
	return p;
}

static void code_bytes(struct coder *c, void *bytes, size_t len)
{
	if (c->out) {
		memcpy(c->out + c->len, bytes, len);
		c->len += len;
		return;
	}
	const uint8_t *p = code_take(c, len);
	if (p)
		memcpy(bytes, p, len);
}

static uint64_t code_int(struct coder *c, uint64_t v, size_t size)
{
	uint8_t bytes[8] = {0};
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(v >> 8 * i);
	code_bytes(c, bytes, size);
	v = 0;
	for (size_t i = size; !c->bad && i-- > 0;)
		v = v << 8 | bytes[i];
	return v;
}

/* Big-endian, for keys. */
static uint64_t code_big(struct coder *c, uint64_t v, size_t size)
{
	uint8_t bytes[8] = {0};
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(v >> 8 * (size - 1 - i));
	code_bytes(c, bytes, size);
	v = 0;
	for (size_t i = 0; !c->bad && i < size; i++)
		v = v << 8 | bytes[i];
	return v;
}

/* A byte; what is read is below the limit. */
static uint8_t code_small(struct coder *c, unsigned int v, unsigned int limit)
{
	v = (unsigned int)code_int(c, v, 1);
	c->bad |= !c->out && v >= limit;
	return (uint8_t)(c->bad ? 0 : v);
}

static uint8_t code_family(struct coder *c, uint8_t family)
{
	uint64_t v = code_int(c, family == AF_INET ? 4 : 6, 1);
	c->bad |= v != 4 && v != 6;
	return v == 4 ? AF_INET : AF_INET6;
}

static void code_addr(struct coder *c, struct addr *a)
{
	a->family = code_family(c, a->family);
	code_bytes(c, a->bytes, addr_size(a));
}

static void code_cidr(struct coder *c, struct cidr *p)
{
	code_addr(c, &p->addr);
	p->len = code_small(c, p->len, addr_bits(&p->addr) + 1u);
	c->bad |= !c->out && cidr_has_host_bits(p);
}

/* Length, text, NUL; text longer than max is cut. What is read lies in the record. */
static const char *code_string(struct coder *c, const char *s, size_t max)
{
	size_t len = (size_t)code_int(c, c->out ? strnlen(s, max) : 0, 2);
	if (c->out) {
		memcpy(c->out + c->len, s, len);
		c->out[c->len + len] = '\0';
		c->len += len + 1;
		return s;
	}
	const uint8_t *p = len > max ? NULL : code_take(c, len + 1);
	if (!p || p[len] != '\0' || memchr(p, '\0', len)) {
		c->bad = true;
		return "";
	}
	return (const char *)p;
}

static void code_text(struct coder *c, char *text, size_t size)
{
	const char *s = code_string(c, text, size - 1);
	if (!c->out)
		(void)text_copy(text, size, s);
}

/* A name is the rest of its key: it sorts as text. */
static void code_name(struct coder *c, char name[RECORD_NAME])
{
	size_t len = c->out ? strnlen(name, RECORD_NAME - 1) : c->len;
	c->bad |= len >= RECORD_NAME;
	if (c->bad)
		return;
	code_bytes(c, name, len);
	name[len] = '\0';
	c->bad |= !c->out && strlen(name) != len;
}

/* The fields behind the kind. */
static void code_key_fields(struct coder *c, struct record_key *k)
{
	switch (k->kind) {
	case RECORD_META:
	case RECORD_MIRROR:
		break;
	case RECORD_POOL:
		code_cidr(c, &k->pool);
		break;
	case RECORD_BLOCK:
		code_cidr(c, &k->block);
		break;
	case RECORD_FRESH:
		code_cidr(c, &k->pool);
		code_cidr(c, &k->block);
		c->bad |= !cidr_contains(&k->pool, &k->block.addr) || k->block.len < k->pool.len;
		break;
	case RECORD_ADDR:
		code_addr(c, &k->addr);
		break;
	case RECORD_OWNER:
		code_bytes(c, k->owner.bytes, sizeof(k->owner.bytes));
		k->family = code_family(c, k->family);
		break;
	case RECORD_QUEUE:
		code_cidr(c, &k->pool);
		k->released_ns = code_big(c, k->released_ns, 8);
		code_addr(c, &k->addr);
		c->bad |= !cidr_contains(&k->pool, &k->addr);
		break;
	case RECORD_PORTS:
		code_bytes(c, k->owner.bytes, sizeof(k->owner.bytes));
		k->position = (uint16_t)code_big(c, k->position, 2);
		break;
	case RECORD_IDENTITY:
	case RECORD_LIMITS:
		code_bytes(c, k->owner.bytes, sizeof(k->owner.bytes));
		break;
	case RECORD_NAMESPACE:
	case RECORD_CLOSED:
	case RECORD_STAGED:
		code_name(c, k->name);
		break;
	case RECORD_MIRROR_POOL:
	case RECORD_MIRROR_RESERVED:
	case RECORD_MIRROR_LENT:
		k->position = (uint16_t)code_big(c, k->position, 2);
		break;
	default:
		c->bad = true;
	}
}

static void code_key(struct coder *c, struct record_key *k)
{
	k->kind = (enum record_kind)code_int(c, (uint64_t)k->kind, 1);
	code_key_fields(c, k);
}

/* What every format begins with. */
static uint64_t code_head(struct coder *c, char boot[BOOT_ID_TEXT])
{
	char found[sizeof(magic)];
	memcpy(found, magic, sizeof(found));
	code_bytes(c, found, sizeof(found));
	c->bad |= memcmp(found, magic, sizeof(magic)) != 0;
	uint64_t format = code_int(c, RECORD_FORMAT, 2);
	code_bytes(c, boot, BOOT_ID_TEXT - 1);
	return format;
}

static void code_meta(struct coder *c, struct record_meta *m)
{
	c->bad |= code_head(c, m->boot) != RECORD_FORMAT;
	m->id = code_int(c, m->id, 8);
	m->adoption = (enum record_adoption)code_small(c, m->adoption, RECORD_ADOPTED + 1);
}

static void code_pool(struct coder *c, struct record_pool *p)
{
	p->block_len = code_small(c, p->block_len, 129);
	p->cooldown_s = (uint32_t)code_int(c, p->cooldown_s, 4);
	p->next = code_int(c, p->next, 8);
	p->blocks = code_int(c, p->blocks, 8);
}

/* One byte of flags where a state of before the cluster has "loose" alone: so its records are read
 * as they are. */
enum {
	FLAG_LOOSE = 1,
	FLAG_CLUSTER = 2,
	FLAG_DRAINING = 4,
	FLAG_DISOWNED = 8,
	FLAG_LOAN = 16,
	FLAGS = 32
};

static void code_block(struct coder *c, struct record_block *b)
{
	unsigned int flags = (b->loose ? FLAG_LOOSE : 0u) | (b->cluster ? FLAG_CLUSTER : 0u) |
			     (b->draining ? FLAG_DRAINING : 0u) |
			     (b->disowned ? FLAG_DISOWNED : 0u) | (b->loan ? FLAG_LOAN : 0u);
	b->pool_len = code_small(c, b->pool_len, 129);
	b->quarantined = code_small(c, b->quarantined, 2);
	flags = code_small(c, flags, FLAGS);
	b->loose = flags & FLAG_LOOSE;
	b->cluster = flags & FLAG_CLUSTER;
	b->draining = flags & FLAG_DRAINING;
	b->disowned = flags & FLAG_DISOWNED;
	b->loan = flags & FLAG_LOAN;
	b->next = code_int(c, b->next, 8);
	b->since_s = (int64_t)code_int(c, (uint64_t)b->since_s, 8);
}

static void code_addr_record(struct coder *c, struct record_addr *a)
{
	struct owner *o = &a->owner;
	a->state = (enum record_state)code_small(c, a->state, RECORD_LENT + 1);
	o->foreign = code_small(c, o->foreign, 2);
	a->since_s = (int64_t)code_int(c, (uint64_t)a->since_s, 8);
	a->released_ns = code_int(c, a->released_ns, 8);
	o->netns = code_int(c, o->netns, 8);
	code_bytes(c, o->hash.bytes, sizeof(o->hash.bytes));
	o->network = code_string(c, o->network, 255);
	o->container = code_string(c, o->container, 1023);
	o->ifname = code_string(c, o->ifname, 15);
	o->pod_namespace = code_string(c, o->pod_namespace, 255);
	o->pod_name = code_string(c, o->pod_name, 255);
}

static void code_port(struct coder *c, struct port *p)
{
	bool has_addr = code_small(c, p->at.family != 0, 2);
	p->proto = (uint8_t)code_int(c, p->proto, 1);
	p->host = (uint16_t)code_int(c, p->host, 2);
	p->pod = (uint16_t)code_int(c, p->pod, 2);
	if (has_addr)
		code_addr(c, &p->at);
	c->bad |= !p->host || !p->pod;
}

static void code_ports(struct coder *c, struct record_ports *p)
{
	p->n = code_small(c, (unsigned int)p->n, RECORD_PORTS_MAX + 1);
	c->bad |= p->n == 0;
	for (size_t i = 0; i < p->n && !c->bad; i++)
		code_port(c, &p->v[i]);
}

static void code_limit(struct coder *c, struct bandwidth *b)
{
	b->rate = code_int(c, b->rate, 8);
	b->burst = (uint32_t)code_int(c, b->burst, 4);
	c->bad |= b->rate > BANDWIDTH_MAX || (b->rate == 0) != (b->burst == 0);
}

static void code_limits(struct coder *c, struct bandwidths *b)
{
	code_limit(c, &b->ingress);
	code_limit(c, &b->egress);
	c->bad |= !b->ingress.rate && !b->egress.rate;
}

static void code_namespace(struct coder *c, struct record_namespace *n)
{
	for (size_t i = 0; i < CNI_NAMESPACE_ANNOTATIONS; i++) {
		code_text(c, n->annotations[i].key, sizeof(n->annotations[i].key));
		code_text(c, n->annotations[i].text, sizeof(n->annotations[i].text));
	}
}

static void code_closed(struct coder *c, struct record_closed *r)
{
	r->ingress = code_small(c, r->ingress, 2);
	uint8_t egress = code_small(c, (uint8_t)(r->egress + (r->egress && r->to_host)), 3);
	r->egress = egress > 0;
	r->to_host = egress > 1;
}

static void code_staged(struct coder *c, struct record_staged *r)
{
	code_text(c, r->ingress, sizeof(r->ingress));
	code_text(c, r->egress, sizeof(r->egress));
	code_text(c, r->to_host, sizeof(r->to_host));
}

static void code_identity(struct coder *c, struct record_identity *r)
{
	code_text(c, r->uid, sizeof(r->uid));
	code_text(c, r->labels, sizeof(r->labels));
	c->bad |= !*r->uid && !*r->labels;
}

static void code_mirror(struct coder *c, struct mirror *m)
{
	code_text(c, m->node, sizeof(m->node));
	code_text(c, m->socket, sizeof(m->socket));
	for (enum family f = IPV4; f < FAMILIES; f++)
		m->mtu[f] = (uint32_t)code_int(c, m->mtu[f], 4);
	m->n_pools = code_int(c, m->n_pools, 2);
	m->n_reserved = code_int(c, m->n_reserved, 2);
	c->bad |= m->n_pools > POOL_MAX || m->n_reserved > MIRROR_RESERVED;
	/* Agents that do not know a field end in front of it. */
	if (c->out ? m->netns || m->n_lent : c->len > 0) {
		m->netns = code_int(c, m->netns, 8);
		c->bad |= m->netns == 0 && !c->out && c->len == 0;
	}
	if (c->out ? m->n_lent != 0 : c->len > 0) {
		m->n_lent = code_int(c, m->n_lent, 2);
		c->bad |= m->n_lent == 0 || m->n_lent > MIRROR_LENT;
	}
}

static void code_mirror_pool(struct coder *c, struct mirror_pool *p)
{
	code_cidr(c, &p->pool.cidr);
	p->pool.block_len = code_small(c, p->pool.block_len, addr_bits(&p->pool.cidr.addr) + 1u);
	p->pool.cooldown_s = (uint32_t)code_int(c, p->pool.cooldown_s, 4);
	p->assigns = code_small(c, p->assigns, 2);
	code_text(c, p->name, sizeof(p->name));
	c->bad |= p->pool.block_len < p->pool.cidr.len;
}

/* record_NAME_format() and record_NAME_parse(), from the description of the fields. */
#define RECORD(name, type, max, code)                                                              \
	size_t record_##name##_format(const type *record, uint8_t out[max])                        \
	{                                                                                          \
		struct coder c = {.out = out};                                                     \
		type copy = *record;                                                               \
		code(&c, &copy);                                                                   \
		assert(c.len <= (max));                                                            \
		return c.len;                                                                      \
	}                                                                                          \
	bool record_##name##_parse(                                                                \
		const void *bytes, size_t len, type *out) /* NOLINT(bugprone-macro-parentheses) */ \
	{                                                                                          \
		struct coder c = {.in = bytes, .len = len};                                        \
		type record = {0};                                                                 \
		code(&c, &record);                                                                 \
		if (c.bad || c.len)                                                                \
			return false;                                                              \
		*out = record;                                                                     \
		return true;                                                                       \
	}

RECORD(key, struct record_key, RECORD_KEY_MAX, code_key)
RECORD(meta, struct record_meta, RECORD_VALUE_MAX, code_meta)
RECORD(pool, struct record_pool, RECORD_VALUE_MAX, code_pool)
RECORD(block, struct record_block, RECORD_VALUE_MAX, code_block)
RECORD(addr, struct record_addr, RECORD_VALUE_MAX, code_addr_record)
RECORD(mirror, struct mirror, RECORD_VALUE_MAX, code_mirror)
RECORD(mirror_pool, struct mirror_pool, RECORD_VALUE_MAX, code_mirror_pool)
RECORD(prefix, struct cidr, RECORD_VALUE_MAX, code_cidr)
RECORD(namespace, struct record_namespace, RECORD_VALUE_MAX, code_namespace)
RECORD(closed, struct record_closed, RECORD_VALUE_MAX, code_closed)
RECORD(staged, struct record_staged, RECORD_VALUE_MAX, code_staged)
RECORD(identity, struct record_identity, RECORD_VALUE_MAX, code_identity)
RECORD(ports, struct record_ports, RECORD_VALUE_MAX, code_ports)
RECORD(limits, struct bandwidths, RECORD_VALUE_MAX, code_limits)
RECORD(owner, struct addr, RECORD_VALUE_MAX, code_addr)

unsigned int record_meta_other_format(const void *bytes, size_t len, char boot[BOOT_ID_TEXT])
{
	struct coder c = {.in = bytes, .len = len};
	char found[BOOT_ID_TEXT] = "";
	unsigned int format = (unsigned int)code_head(&c, found);
	if (c.bad || format == RECORD_FORMAT)
		return 0;
	(void)text_copy(boot, BOOT_ID_TEXT, found);
	return format;
}
