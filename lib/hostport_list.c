/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys are concatenations, as the kernel lays them out: each field begins at a multiple of four bytes,
 * so an address, a protocol and a port of IPv4 are 12 bytes, of IPv6 24. Unused bytes are zero, and lists
 * are compared by all of them.
 */
#include "lib/hostport_list.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"

/* How nft(8) numbers types; a concatenation has six bits for each. */
enum { TYPE_IPADDR = 7, TYPE_IP6ADDR = 8, TYPE_PROTO = 12, TYPE_SERVICE = 13 };
#define TYPE2(a, b) ((uint32_t)(a) << 6 | (b))
#define TYPE3(a, b, c) (TYPE2(a, b) << 6 | (c))

const struct hostport_set hostport_sets[SETS] = {
	[ANY4] = {"any4", TYPE2(TYPE_PROTO, TYPE_SERVICE), 8, TYPE2(TYPE_IPADDR, TYPE_SERVICE), 8},
	[AT4] = {"at4", TYPE3(TYPE_IPADDR, TYPE_PROTO, TYPE_SERVICE), 12,
		TYPE2(TYPE_IPADDR, TYPE_SERVICE), 8},
	[HAIRPIN4] = {"hairpin4", TYPE2(TYPE_IPADDR, TYPE_IPADDR), 8, 0, 0},
	[ANY6] = {"any6", TYPE2(TYPE_PROTO, TYPE_SERVICE), 8, TYPE2(TYPE_IP6ADDR, TYPE_SERVICE),
		20},
	[AT6] = {"at6", TYPE3(TYPE_IP6ADDR, TYPE_PROTO, TYPE_SERVICE), 24,
		TYPE2(TYPE_IP6ADDR, TYPE_SERVICE), 20},
	[HAIRPIN6] = {"hairpin6", TYPE2(TYPE_IP6ADDR, TYPE_IP6ADDR), 32, 0, 0},
};

size_t hostport_addr_room(enum family f)
{
	return f == IPV4 ? 4 : 16;
}

int hostport_set_of(enum family f, int set)
{
	return f == IPV4 ? set : set + ANY6;
}

static enum family family_of_set(int set)
{
	return set < ANY6 ? IPV4 : IPV6;
}

static void put_port(uint8_t *at, uint16_t port)
{
	at[0] = (uint8_t)(port >> 8);
	at[1] = (uint8_t)port;
}

static uint16_t get_port(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static struct hostport_element element_of(
	const struct port *port, const struct addr *to, enum family f)
{
	struct hostport_element x = {0};
	uint8_t *key = x.key;
	x.set = (uint8_t)hostport_set_of(f, port_is_any(port) ? ANY4 : AT4);
	if (!port_is_any(port)) {
		memcpy(key, port->at.bytes, hostport_addr_room(f));
		key += hostport_addr_room(f);
	}
	key[0] = port->proto;
	put_port(key + 4, port->host);
	memcpy(x.data, to->bytes, hostport_addr_room(f));
	put_port(x.data + hostport_addr_room(f), port->pod);
	return x;
}

static struct hostport_element hairpin_of(const struct addr *to, enum family f)
{
	struct hostport_element x = {.set = (uint8_t)hostport_set_of(f, HAIRPIN4)};
	memcpy(x.key, to->bytes, hostport_addr_room(f));
	memcpy(x.key + hostport_addr_room(f), to->bytes, hostport_addr_room(f));
	return x;
}

bool hostport_port_of(const struct hostport_element *x, struct port *out)
{
	enum family f = family_of_set(x->set);
	const uint8_t *key = x->key;
	if (!hostport_sets[x->set].data_len)
		return false;
	*out = (struct port){.at.family = family_af(f)};
	if (x->set == AT4 || x->set == AT6) {
		memcpy(out->at.bytes, key, hostport_addr_room(f));
		key += hostport_addr_room(f);
	}
	out->proto = key[0];
	out->host = get_port(key + 4);
	out->pod = get_port(x->data + hostport_addr_room(f));
	return true;
}

void hostport_list_add(struct hostport_list *l, const struct hostport_element *x)
{
	l->v = mem_grow(l->v, &l->room, l->n, sizeof(*l->v));
	l->v[l->n++] = *x;
}

void hostport_list_done(struct hostport_list *l)
{
	free(l->v);
	*l = (struct hostport_list){0};
}

void hostport_list_wanted(const struct hostport_pod *p, struct hostport_list *out)
{
	for (size_t i = 0; i < p->n_addrs; i++) {
		enum family f = family_of(p->addrs[i].family);
		size_t before = out->n;
		for (size_t k = 0; k < p->n_ports; k++) {
			struct hostport_element x = element_of(&p->ports[k], &p->addrs[i], f);
			if (port_is_of(&p->ports[k], p->addrs[i].family))
				hostport_list_add(out, &x);
		}
		struct hostport_element twice = hairpin_of(&p->addrs[i], f);
		if (out->n > before)
			hostport_list_add(out, &twice);
	}
	for (size_t i = 0; i < out->n; i++) {
		out->v[i].owner = p->owner;
		out->v[i].is_owned = true;
		(void)text_copy(out->v[i].name, sizeof(out->v[i].name), p->name);
	}
}

int hostport_compare(const void *a, const void *b)
{
	const struct hostport_element *x = a, *y = b;
	return x->set != y->set ? x->set - y->set : memcmp(x->key, y->key, sizeof(x->key));
}

static const struct hostport_element *hostport_find(
	const struct hostport_list *l, const struct hostport_element *x)
{
	return l->n ? bsearch(x, l->v, l->n, sizeof(*x), hostport_compare) : NULL;
}

bool hostport_is_there(const struct hostport_list *l, const struct hostport_element *x)
{
	const struct hostport_element *found = hostport_find(l, x);
	return found && hash_equal(&found->owner, &x->owner) &&
	       memcmp(found->data, x->data, sizeof(x->data)) == 0;
}

size_t hostport_lacking(
	const struct hostport_list *l, const struct hostport_pod *p, struct port *first)
{
	struct hostport_list want = {0};
	size_t lacking = 0;
	hostport_list_wanted(p, &want);
	*first = p->n_ports ? p->ports[0] : (struct port){0};
	for (size_t i = want.n; i-- > 0;) {
		if (hostport_is_there(l, &want.v[i]))
			continue;
		(void)hostport_port_of(&want.v[i], first);
		lacking++;
	}
	hostport_list_done(&want);
	return lacking;
}

struct hash *hostport_owners(const struct hostport_list *l, size_t *n)
{
	struct hash *v = mem_new(l->n + 1, sizeof(*v));
	size_t count = 0, kept = 0;
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].is_owned)
			v[count++] = l->v[i].owner;
	qsort(v, count, sizeof(*v), hash_compare);
	for (size_t i = 0; i < count; i++)
		if (!kept || !hash_equal(&v[kept - 1], &v[i]))
			v[kept++] = v[i];
	*n = kept;
	return v;
}

struct port *hostport_ports(const struct hostport_list *l, const struct hash *owner, size_t *n)
{
	struct port *v = mem_new(l->n + 1, sizeof(*v));
	*n = 0;
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].is_owned && hash_equal(&l->v[i].owner, owner) &&
			hostport_port_of(&l->v[i], &v[*n]))
			(*n)++;
	return v;
}

size_t hostport_udp(const struct hostport_list *l, struct addr *out, size_t max)
{
	size_t n = 0;
	for (size_t i = 0; i < l->n; i++) {
		const struct hostport_element *x = &l->v[i];
		struct addr to = {.family = family_af(family_of_set(x->set))};
		struct port port;
		bool known = false;
		if (!hostport_port_of(x, &port) || port.proto != IPPROTO_UDP)
			continue;
		memcpy(to.bytes, x->data, addr_size(&to));
		for (size_t k = 0; k < n; k++)
			known |= addr_equal(&out[k], &to);
		if (!known && n < max)
			out[n++] = to;
	}
	return n;
}
