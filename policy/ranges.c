/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intervals of addresses are gathered as they come and made disjoint at the end, by sorting them and joining
 * neighbours: the kernel refuses intervals that overlap. Ports are bits, 8 KiB for a protocol: whatever is
 * written of them, a run is a run.
 */
#include "policy/ranges.h"

#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"

/* Addresses as numbers of size bytes, the highest first */

static bool number_next(uint8_t *a, size_t size) /* false: it was the last one */
{
	for (size_t i = size; i-- > 0;) {
		if (++a[i] != 0)
			return true;
	}
	return false;
}

static bool number_previous(uint8_t *a, size_t size) /* false: it was the first one */
{
	for (size_t i = size; i-- > 0;) {
		if (a[i]-- != 0)
			return true;
	}
	return false;
}

static struct policy_range range_of(const struct cidr *net)
{
	struct cidr masked = cidr_masked(&net->addr, net->len);
	struct addr last = cidr_last(&masked);
	struct policy_range r = {0};
	memcpy(r.first, masked.addr.bytes, sizeof(r.first));
	memcpy(r.last, last.bytes, sizeof(r.last));
	return r;
}

static int compare_ranges(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct policy_range)); /* unused bytes are zero */
}

static void ranges_push(struct policy_ranges *r, const uint8_t *first, const uint8_t *last)
{
	r->v = mem_grow(r->v, &r->room, r->n, sizeof(*r->v));
	memcpy(r->v[r->n].first, first, 16);
	memcpy(r->v[r->n++].last, last, 16);
}

/* Sorted excepts in, what of net is in none of them out. */
static void ranges_push_rest(struct policy_ranges *r, struct policy_range net,
	const struct policy_range *excepts, size_t n)
{
	size_t size = family_bits(r->family) / 8;
	for (size_t i = 0; i < n; i++) {
		const struct policy_range *x = &excepts[i];
		if (memcmp(x->last, net.first, size) < 0 || memcmp(x->first, net.last, size) > 0)
			continue;
		if (memcmp(x->first, net.first, size) > 0) {
			uint8_t end[16];
			memcpy(end, x->first, sizeof(end));
			(void)number_previous(end, size); /* there is an address before it */
			ranges_push(r, net.first, end);
		}
		memcpy(net.first, x->last, sizeof(net.first));
		if (!number_next(net.first, size) || memcmp(net.first, net.last, size) > 0)
			return;
	}
	ranges_push(r, net.first, net.last);
}

void policy_ranges_add(struct policy_ranges *r, const struct cidr *net, const struct cidr *excepts,
	size_t n_excepts)
{
	if (net->addr.family != family_af(r->family))
		return;
	CLEANUP_FREE struct policy_range *sorted = mem_new(n_excepts, sizeof(*sorted));
	size_t n = 0;
	for (size_t i = 0; i < n_excepts; i++) {
		if (excepts[i].addr.family == net->addr.family)
			sorted[n++] = range_of(&excepts[i]);
	}
	qsort(sorted, n, sizeof(*sorted), compare_ranges);
	ranges_push_rest(r, range_of(net), sorted, n);
}

/* Sorts them, and joins those that overlap or touch. */
static void ranges_join(struct policy_ranges *r)
{
	size_t size = family_bits(r->family) / 8;
	size_t n = 0;
	qsort(r->v, r->n, sizeof(*r->v), compare_ranges);
	for (size_t i = 0; i < r->n; i++) {
		struct policy_range *last = n > 0 ? &r->v[n - 1] : NULL;
		uint8_t next[16];
		bool touches = false;
		if (last) {
			memcpy(next, last->last, sizeof(next));
			touches =
				!number_next(next, size) || memcmp(r->v[i].first, next, size) <= 0;
		}
		if (!touches)
			r->v[n++] = r->v[i];
		else if (memcmp(r->v[i].last, last->last, size) > 0)
			memcpy(last->last, r->v[i].last, sizeof(last->last));
	}
	r->n = n;
}

struct policy_elements *policy_ranges_elements(struct policy_ranges *r)
{
	size_t size = family_bits(r->family) / 8;
	if (r->n == 0)
		return NULL;
	ranges_join(r);
	struct policy_elements *e = policy_elements_new(r->n, 2 * size);
	for (size_t i = 0; i < r->n; i++) {
		memcpy(e->bytes + i * 2 * size, r->v[i].first, size);
		memcpy(e->bytes + i * 2 * size + size, r->v[i].last, size);
	}
	return e;
}

void policy_ranges_done(struct policy_ranges *r)
{
	free(r->v);
	*r = (struct policy_ranges){.family = r->family};
}

/* Ports */

/* The protocol's own bits; it is listed then. */
static struct policy_ports_of *ports_of(struct policy_ports *p, uint8_t proto)
{
	for (size_t i = 0; i < p->n; i++) {
		if (p->v[i]->proto == proto)
			return p->v[i];
	}
	struct policy_ports_of *of = mem_new(1, sizeof(*of));
	of->proto = proto;
	memset(of->bits, p->others ? 0xff : 0, sizeof(of->bits));
	p->v = mem_grow(p->v, &p->room, p->n, sizeof(struct policy_ports_of *));
	p->v[p->n++] = of;
	return of;
}

/* Protocols but the one are not listed any more. */
static void ports_unlist(struct policy_ports *p, const struct policy_ports_of *but)
{
	size_t n = 0;
	for (size_t i = 0; i < p->n; i++) {
		if (p->v[i] == but)
			p->v[n++] = p->v[i];
		else
			free(p->v[i]);
	}
	p->n = n;
}

void policy_ports_add(struct policy_ports *p, uint8_t proto, uint16_t first, uint16_t last)
{
	struct policy_ports_of *of = ports_of(p, proto);
	for (uint32_t i = first; i <= last; i++)
		of->bits[i / 64] |= UINT64_C(1) << (i % 64);
}

void policy_ports_remove(struct policy_ports *p, uint8_t proto, uint16_t first, uint16_t last)
{
	struct policy_ports_of *of = ports_of(p, proto);
	for (uint32_t i = first; i <= last; i++)
		of->bits[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

void policy_ports_all(struct policy_ports *p)
{
	ports_unlist(p, NULL);
	p->others = true;
}

void policy_ports_none(struct policy_ports *p)
{
	ports_unlist(p, NULL);
	p->others = false;
}

void policy_ports_only(struct policy_ports *p, uint8_t proto)
{
	ports_unlist(p, ports_of(p, proto));
	p->others = false;
}

void policy_ports_done(struct policy_ports *p)
{
	ports_unlist(p, NULL);
	free(p->v);
	*p = (struct policy_ports){0};
}

static bool is_port(const struct policy_ports_of *p, uint32_t port)
{
	return p->bits[port / 64] >> (port % 64) & 1;
}

bool policy_ports_run(
	const struct policy_ports_of *p, uint32_t *from, uint16_t *first, uint16_t *last)
{
	uint32_t i = *from;
	while (i < 65536 && !is_port(p, i))
		i += p->bits[i / 64] == 0 ? 64 - i % 64 : 1;
	if (i >= 65536)
		return false;
	*first = (uint16_t)i;
	while (i < 65536 && is_port(p, i))
		i += p->bits[i / 64] == UINT64_MAX ? 64 - i % 64 : 1;
	*last = (uint16_t)(i - 1);
	*from = i;
	return true;
}
