/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A desired state as text: a line for each thing that shall be, in the words of the tools that show
 * it; BIRD's part is the text that BIRD gets.
 */
#include <stdio.h>
#include <stdlib.h>

#include "agent/bird/config.h"
#include "agent/desired/desired.h"
#include "lib/json.h"
#include "lib/mem.h"

static const char *cidr_text(const struct cidr *c, char out[CIDR_TEXT])
{
	cidr_format(c, out);
	return out;
}

static void write_cidrs(FILE *f, const char *what, const struct cidr *list, size_t n)
{
	char text[CIDR_TEXT];
	for (size_t i = 0; i < n; i++)
		(void)fprintf(f, "%s %s\n", what, cidr_text(&list[i], text));
}

static void write_mirror(FILE *f, const struct mirror *m)
{
	char text[CIDR_TEXT];
	(void)fprintf(f, "node %s, mtu %u and %u\n", m->node, m->mtu4, m->mtu6);
	for (size_t i = 0; i < m->n_pools; i++) {
		const struct mirror_pool *p = &m->pools[i];
		(void)fprintf(f, "pool %s %s blocks /%u cooldown %us%s\n", p->name,
			cidr_text(&p->pool.cidr, text), p->pool.block_len, p->pool.cooldown_s,
			p->assigns ? "" : ", gives nothing");
	}
	write_cidrs(f, "reserved", m->reserved, m->n_reserved);
}

static void write_vxlan(FILE *f, const struct vxlan_want *v)
{
	char text[ADDR_TEXT];
	char mac[MAC_TEXT];
	if (!v->on)
		return;
	addr_format(&v->local, text);
	mac_format(v->mac, mac);
	(void)fprintf(f, "vxlan %s id %u local %s dev %d dstport %u mtu %u address %s\n", v->device,
		v->vni, text, v->parent, v->port, v->mtu, mac);
	addr_format(v->vtep4.family ? &v->vtep4 : &v->vtep6, text);
	(void)fprintf(f, "vxlan %s address %s\n", v->device, text);
	for (size_t i = 0; i < v->n_peers; i++) {
		const struct vxlan_peer *p = &v->peers[i];
		char node[ADDR_TEXT];
		addr_format(&p->node, node);
		addr_format(p->vtep4.family ? &p->vtep4 : &p->vtep6, text);
		mac_format(p->mac, mac);
		(void)fprintf(f, "vxlan %s peer %s at %s, %s\n", v->device, text, node, mac);
	}
}

static void write_exits(FILE *f, const struct exits_want *x)
{
	char text[CIDR_TEXT];
	for (size_t i = 0; i < x->n_pools; i++)
		if (x->used[x->pools[i].addr.family != AF_INET])
			(void)fprintf(f, "rules from %s for exits in table %u\n",
				cidr_text(&x->pools[i], text), x->table);
}

static void write_ipip(FILE *f, const struct ipip_want *w)
{
	char text[ADDR_TEXT];
	if (!w->on)
		return;
	addr_format(&w->addr, text);
	(void)fprintf(f, "ipip address %s mtu %u\n", text, w->mtu);
}

/* A node lacks an address of a family here and there: family 0. */
static void write_addrs(FILE *f, const char *what, const struct tunnel_filter_list *list)
{
	char text[ADDR_TEXT];
	for (size_t i = 0; i < list->n; i++) {
		if (!list->v[i].family)
			continue;
		addr_format(&list->v[i], text);
		(void)fprintf(f, "tunnel filter %s %s\n", what, text);
	}
}

static void write_tunnel_filter(FILE *f, const struct tunnel_filter_want *w)
{
	if (!w->ipip && !w->vxlan4 && !w->vxlan6)
		return;
	(void)fprintf(f, "tunnel filter for%s%s%s, port %u vni %u\n", w->ipip ? " IPIP" : "",
		w->vxlan4 ? " VXLAN" : "", w->vxlan6 ? " VXLAN6" : "", w->port, w->vni);
	write_addrs(f, "node", &w->peers);
	write_addrs(f, "other far end", &w->others);
	write_addrs(f, "other near end", &w->theirs);
}

char *desired_describe(const struct desired *d)
{
	char *out = NULL;
	size_t size;
	FILE *f = open_memstream(&out, &size);
	if (!f)
		err_abort("out of memory");
	write_mirror(f, &d->mirror);
	write_cidrs(f, "blackhole", d->kernel.blackholes, d->kernel.n_blackholes);
	(void)fprintf(f, "forwarding%s%s\n", d->kernel.forward4 ? " IPv4" : "",
		d->kernel.forward6 ? " IPv6" : "");
	write_vxlan(f, &d->kernel.vxlan[0]);
	write_vxlan(f, &d->kernel.vxlan[1]);
	write_ipip(f, &d->kernel.ipip);
	write_tunnel_filter(f, &d->tunnel_filter);
	write_exits(f, &d->kernel.exits);
	write_cidrs(f, "masquerade", d->nat.nat, d->nat.n_nat);
	if (d->node) {
		CLEANUP_FREE char *doc = json_text(d->node);
		(void)fprintf(f, "document %s\n", doc);
	}
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
