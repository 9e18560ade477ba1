/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A desired state as text: a line for each thing that shall be, in the words of the tools that show
 * it; BIRD's part is the text that BIRD gets.
 */
#include "tests/unit/desired_text.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/bird/config.h"
#include "lib/boot.h"
#include "lib/json.h"
#include "lib/mem.h"

static void write_cidrs(FILE *f, const char *what, const struct cidr *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)fprintf(f, "%s %s\n", what, CIDR_STRING(&list[i]));
}

static void write_mirror(FILE *f, const struct mirror *m)
{
	(void)fprintf(f, "node %s, mtu %u and %u\n", m->node, m->mtu[IPV4], m->mtu[IPV6]);
	for (size_t i = 0; i < m->n_pools; i++) {
		const struct mirror_pool *p = &m->pools[i];
		(void)fprintf(f, "pool %s %s blocks /%u cooldown %us%s\n", p->name,
			CIDR_STRING(&p->pool.cidr), p->pool.block_len, p->pool.cooldown_s,
			p->assigns ? "" : ", gives nothing");
	}
	write_cidrs(f, "reserved", m->reserved, m->n_reserved);
}

static void write_vxlan(FILE *f, const struct vxlan_want *v, enum family family)
{
	char mac[MAC_TEXT];
	if (!v->on)
		return;
	mac_format(v->mac, mac);
	(void)fprintf(f, "vxlan %s id %u local %s dev %d dstport %u mtu %u address %s\n", v->device,
		v->vni, ADDR_STRING(&v->local), v->parent, v->port, v->mtu, mac);
	(void)fprintf(f, "vxlan %s address %s\n", v->device, ADDR_STRING(&v->vtep[family]));
	for (size_t i = 0; i < v->n_peers; i++) {
		const struct vxlan_peer *p = &v->peers[i];
		mac_format(p->mac, mac);
		(void)fprintf(f, "vxlan %s peer %s at %s, %s\n", v->device,
			ADDR_STRING(&p->vtep[family]), ADDR_STRING(&p->node), mac);
	}
}

static void write_exits(FILE *f, const struct exits_want *x)
{
	for (size_t i = 0; i < x->n_pools; i++)
		if (x->used[family_of(x->pools[i].addr.family)])
			(void)fprintf(f, "rules from %s for exits in table %u\n",
				CIDR_STRING(&x->pools[i]), x->table);
}

static void write_ipip(FILE *f, const struct ipip_want *w)
{
	if (w->on)
		(void)fprintf(f, "ipip address %s mtu %u\n", ADDR_STRING(&w->addr), w->mtu);
}

static void write_addrs(FILE *f, const char *what, const struct tunnel_filter_list *list)
{
	char text[ADDR_TEXT];
	for (size_t i = 0; i < list->n; i++) {
		addr_format(&list->v[i], text);
		(void)fprintf(f, "tunnel filter %s %s\n", what, text);
	}
}

static void write_tunnel_filter(FILE *f, const struct tunnel_filter_want *w)
{
	if (!w->ipip && !w->vxlan[IPV4] && !w->vxlan[IPV6])
		return;
	(void)fprintf(f, "tunnel filter for%s%s%s, port %u vni %u\n", w->ipip ? " IPIP" : "",
		w->vxlan[IPV4] ? " VXLAN" : "", w->vxlan[IPV6] ? " VXLAN6" : "", w->port, w->vni);
	write_addrs(f, "node", &w->peers);
	write_addrs(f, "other far end", &w->others);
	write_addrs(f, "other near end", &w->theirs);
}

char *desired_text(const struct desired *d)
{
	char *out = NULL;
	size_t size;
	FILE *f = open_memstream(&out, &size);
	if (!f)
		err_abort("out of memory");
	write_mirror(f, &d->mirror);
	write_cidrs(f, "blackhole", d->kernel.blackholes, d->kernel.n_blackholes);
	(void)fprintf(f, "forwarding%s%s\n", d->kernel.forward[IPV4] ? " IPv4" : "",
		d->kernel.forward[IPV6] ? " IPv6" : "");
	for (enum family i = IPV4; i < FAMILIES; i++)
		write_vxlan(f, &d->kernel.vxlan[i], i);
	write_ipip(f, &d->kernel.ipip);
	write_tunnel_filter(f, &d->tunnel_filter);
	write_exits(f, &d->kernel.exits);
	write_cidrs(f, "masquerade", d->nat.nat, d->nat.n_nat);
	if (d->node) {
		CLEANUP_FREE char *doc = json_text(d->node);
		(void)fprintf(f, "document %s\n", doc);
	}
	if (d->missing)
		(void)fprintf(f, "blocks to be learned: %zu\n", d->missing);
	for (size_t i = 0; i < d->n_down; i++)
		(void)fprintf(f, "down: %s%s%s since %s: %s (%s)\n", d->down[i].node,
			*d->down[i].node ? " " : "", ADDR_STRING(&d->down[i].addr),
			TIME_STRING(d->down[i].since_s), d->down[i].words, d->down[i].why);
	if (d->again_ms != INT64_MAX)
		(void)fprintf(f, "again at %lld ms\n", (long long)d->again_ms);
	for (size_t i = 0; i < d->problems.kept; i++)
		(void)fprintf(f, "problem: %s\n", d->problems.text[i]);
	if (d->problems.total > d->problems.kept)
		(void)fprintf(f, "problem: and %zu more\n", d->problems.total - d->problems.kept);
	CLEANUP_FREE char *bird = bird_config_text(&d->bird);
	(void)fprintf(f, "\n%s", bird);
	if (fclose(f) != 0)
		err_abort("out of memory");
	return out;
}
