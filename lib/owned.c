/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our mark on kernel objects. The kernel is the home of a pod's wiring (nothing else records which
 * links exist), so each host link says itself whose it is: the first 32 characters of its alias
 * are the owner's hash, by which DEL, GC and repair find it when the node state is lost. The text
 * behind the hash is for people, and for a state that has to be rebuilt.
 *
 *	0f3c...  roostnet eth0 4c1f9e...  default/web-0
 *
 * A link is ours when it is a veth with such an alias; a route is ours when it carries protocol 82.
 *
 * Deleting a link makes the caller wait about 20 ms for the kernel's readers, once for each message.
 * Taking it down takes 0.1 ms and has the same effect on traffic: its routes go in the same
 * operation, and the other end loses its carrier. So a link can be marked for deletion (down, and
 * in a group), and everything marked is deleted with one message, by whoever has the time.
 */
#include "lib/owned.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/family.h"
#include "lib/mem.h"
#include "lib/search.h"
#include "lib/text.h"

#define METRIC_DEFAULT6 1024 /* of an IPv6 route that names none */

void owned_label_format(const struct owned_label *l, char out[NET_ALIAS])
{
	char hash[HASH_TEXT];
	hash_format(&l->owner, hash);
	char whole[1024];
	int len = snprintf(whole, sizeof(whole), "%s %s %s %s %s", hash, l->network, l->ifname,
		l->container, l->pod);
	if (len > 0 && whole[len - 1] == ' ')
		whole[len - 1] = '\0';
	(void)text_clean(out, NET_ALIAS, whole);
}

/* Copies the next word and returns where the rest begins. */
static const char *take_word(const char *s, char *out, size_t size)
{
	while (*s == ' ')
		s++;
	size_t len = strcspn(s, " ");
	(void)snprintf(out, size, "%.*s", (int)len, s);
	return s + len;
}

bool owned_label_parse(const char *alias, struct owned_label *out)
{
	struct owned_label l = {0};
	if (!hash_parse(alias, &l.owner) || alias[HASH_TEXT - 1] != ' ')
		return false;
	const char *s = alias + HASH_TEXT - 1;
	s = take_word(s, l.network, sizeof(l.network));
	s = take_word(s, l.ifname, sizeof(l.ifname));
	s = take_word(s, l.container, sizeof(l.container));
	(void)take_word(s, l.pod, sizeof(l.pod));
	*out = l;
	return true;
}

void owned_name(const char *prefix, const struct addr *a, char out[NET_NAME])
{
	const uint8_t *b = a->bytes + addr_size(a) - 4;
	(void)snprintf(out, NET_NAME, "%.*s%02x%02x%02x%02x", OWNED_PREFIX_MAX, prefix, b[0], b[1],
		b[2], b[3]);
}

void owned_name_second(const char *prefix, const struct addr *a, char out[NET_NAME])
{
	struct hash h = hash_of(a->bytes, addr_size(a));
	(void)snprintf(out, NET_NAME, "%.*s%02x%02x%02x%02x", OWNED_PREFIX_MAX, prefix, h.bytes[0],
		h.bytes[1], h.bytes[2], h.bytes[3]);
}

bool owned_prefix_of(const char *name, char out[OWNED_PREFIX_MAX + 1])
{
	const size_t digits = 8;
	size_t len = strlen(name);
	if (len <= digits || len - digits > OWNED_PREFIX_MAX)
		return false;
	memcpy(out, name, len - digits);
	out[len - digits] = '\0';
	return true;
}

#define IFB "ifb-"

void owned_ifb_name(const struct hash *owner, char out[NET_NAME])
{
	const uint8_t *b = owner->bytes;
	(void)snprintf(out, NET_NAME, IFB "%02x%02x%02x%02x", b[0], b[1], b[2], b[3]);
}

bool owned_is_ifb_of(const struct net_link *l, const struct hash *owner)
{
	char name[NET_NAME];
	struct hash h;
	owned_ifb_name(owner, name);
	if (!l->is_ifb || strcmp(l->name, name) != 0)
		return false;
	return hash_parse(l->alias, &h) ? hash_equal(&h, owner)
					: !l->alias[0] && l->group == owned_newborn_group(owner);
}

/* Ours, whoever's. */
static bool is_ifb(const struct net_link *l)
{
	struct hash h;
	bool newborn = (l->group & 0xff000000u) == OWNED_NEWBORN_GROUP && !l->alias[0];
	return l->is_ifb && strncmp(l->name, IFB, strlen(IFB)) == 0 &&
	       (newborn || hash_parse(l->alias, &h));
}

bool owned_is_marked(const struct net_link *l)
{
	return (l->is_veth || l->is_ifb) && l->group == OWNED_REAP_GROUP;
}

bool owned_is_tunnel(const struct net_link *l, const char *kind)
{
	const char *alias = strcmp(kind, "ipip") == 0 ? OWNED_ALIAS_IPIP : OWNED_ALIAS_VXLAN;
	return strncmp(l->alias, alias, strlen(alias)) == 0;
}

static bool is_newborn(const struct net_link *l)
{
	return l->is_veth && (l->group & 0xff000000u) == OWNED_NEWBORN_GROUP && !l->alias[0];
}

uint32_t owned_newborn_group(const struct hash *owner)
{
	const uint8_t *b = owner->bytes;
	return OWNED_NEWBORN_GROUP | (uint32_t)b[0] << 16 | (uint32_t)b[1] << 8 | b[2];
}

bool owned_is_newborn_of(const struct net_link *l, const struct hash *owner)
{
	return is_newborn(l) && l->group == owned_newborn_group(owner);
}

static int compare_index(const void *a, const void *b)
{
	int x = ((const struct owned_link *)a)->link.index;
	int y = ((const struct owned_link *)b)->link.index;
	return (x > y) - (x < y);
}

static int list_links(struct net *n, struct owned *out, struct err *e)
{
	CLEANUP_FREE struct net_link *links = NULL;
	size_t count = 0;
	int r = net_list_links(n, &links, &count, e);
	if (r < 0)
		return r;
	out->links = mem_new(count, sizeof(*out->links));
	out->newborns = mem_new(count, sizeof(*out->newborns));
	out->ifbs = mem_new(count, sizeof(*out->ifbs));
	for (size_t i = 0; i < count; i++) {
		struct owned_link *l = &out->links[out->n_links];
		if (is_newborn(&links[i]))
			out->newborns[out->n_newborns++] = links[i];
		if (is_ifb(&links[i]) && !owned_is_marked(&links[i]))
			out->ifbs[out->n_ifbs++] = links[i];
		if (!links[i].is_veth || owned_is_marked(&links[i]) ||
			!owned_label_parse(links[i].alias, &l->label))
			continue;
		l->link = links[i];
		out->n_links++;
	}
	qsort(out->links, out->n_links, sizeof(*out->links), compare_index);
	return 0;
}

static struct owned_link *link_by_index(const struct owned *o, int index)
{
	struct owned_link key = {.link.index = index};
	return search_find(o->links, o->n_links, sizeof(key), &key, compare_index);
}

/* Routes are sorted into blocks, addresses of links, and strays. */
static void place_route(struct owned *o, const struct net_route *r)
{
	struct owned_link *l = r->dev ? link_by_index(o, r->dev) : NULL;
	if (r->blackhole)
		o->blocks[o->n_blocks++] = r->dst;
	else if (!l)
		o->strays[o->n_strays++] = *r;
	else if (r->dst.len == addr_bits(&r->dst.addr) && l->n_addrs < OWNED_ADDRS)
		l->addrs[l->n_addrs++] = r->dst.addr;
}

int owned_list(struct net *n, struct owned *out, struct err *e)
{
	struct owned o = {0};
	struct net_route *routes[FAMILIES] = {0};
	size_t count[FAMILIES] = {0};
	int r = list_links(n, &o, e);
	for (enum family f = IPV4; f < FAMILIES && r >= 0; f++)
		r = net_list_routes(n, family_af(f), OWNED_PROTOCOL, &routes[f], &count[f], e);
	o.blocks = mem_new(count[IPV4] + count[IPV6], sizeof(*o.blocks));
	o.strays = mem_new(count[IPV4] + count[IPV6], sizeof(*o.strays));
	for (enum family f = IPV4; f < FAMILIES; f++) {
		for (size_t i = 0; i < count[f]; i++)
			place_route(&o, &routes[f][i]);
		free(routes[f]);
	}
	if (r < 0)
		owned_done(&o);
	else
		*out = o;
	return r < 0 ? r : 0;
}

void owned_done(struct owned *o)
{
	free(o->links);
	free(o->blocks);
	free(o->strays);
	free(o->newborns);
	free(o->ifbs);
	*o = (struct owned){0};
}

const struct owned_link *owned_find(const struct owned *o, const struct hash *owner)
{
	for (size_t i = 0; i < o->n_links; i++)
		if (hash_equal(&o->links[i].label.owner, owner))
			return &o->links[i];
	return NULL;
}

static int mark_links(struct net *n, const int *indexes, size_t count, struct err *e)
{
	const size_t at_once = 32;
	for (size_t i = 0; i < count; i++) {
		net_park(n, (struct net_dev){.index = indexes[i]}, OWNED_REAP_GROUP);
		if (i % at_once != at_once - 1)
			continue;
		int r = net_commit(n, NULL, e);
		if (r < 0)
			return r;
	}
	return 0; /* the last ones are in the queue */
}

int owned_remove(struct net *n, const int *indexes, size_t count, struct err *e)
{
	int r = mark_links(n, indexes, count, e);
	return r < 0 || !count ? r : owned_sweep(n, e);
}

int owned_sweep(struct net *n, struct err *e)
{
	net_del_group(n, OWNED_REAP_GROUP, NET_MAY_LACK);
	return net_commit(n, NULL, e);
}

bool owned_is_link_of(const struct net_link *l, const struct hash *owner)
{
	struct hash h;
	return l->is_veth && hash_parse(l->alias, &h) && hash_equal(&h, owner);
}

static bool is_link_of(const struct net_link *l, const struct hash *owner)
{
	return owned_is_link_of(l, owner) || owned_is_newborn_of(l, owner) ||
	       owned_is_ifb_of(l, owner);
}

struct owned_hints owned_hints_of(const char *prefix, const struct addr *a)
{
	struct owned_hints h = {.addrs = {*a}, .n_addrs = 1};
	owned_name(prefix, a, h.names[0]);
	owned_name_second(prefix, a, h.names[1]);
	return h;
}

/* The owner's links: heap array of count, which the caller frees. */
static int find_owner_links(struct net *n, const struct hash *owner,
	const struct owned_hints *hints, struct net_link **out, struct err *e)
{
	struct net_link l, ifb = {0};
	struct err ignored;
	char name[NET_NAME];
	owned_ifb_name(owner, name);
	for (size_t i = 0; hints && i < 2; i++) {
		struct net_dev d = {.name = hints->names[i]};
		if (i == 0)
			net_ask_link(n, name, &ifb); /* goes with the question for the link */
		if (net_find_link(n, d, &l, &ignored) < 0 || !is_link_of(&l, owner))
			continue;
		*out = mem_new(2, sizeof(l));
		(*out)[0] = l;
		(*out)[1] = ifb;
		return owned_is_ifb_of(&ifb, owner) ? 2 : 1;
	}
	size_t count = 0, found = 0;
	int r = net_list_links(n, out, &count, e);
	for (size_t i = 0; r >= 0 && i < count; i++)
		if (is_link_of(&(*out)[i], owner))
			(*out)[found++] = (*out)[i];
	return r < 0 ? r : (int)found;
}

/* Routes that go without a walk through all others, which taking the link down would do. */
static void queue_routes(struct net *n, int dev, const struct owned_hints *hints)
{
	for (size_t i = 0; hints && i < hints->n_addrs; i++) {
		struct net_route r = {
			.dst = cidr_of_host(&hints->addrs[i]),
			.dev = dev,
			.protocol = OWNED_PROTOCOL,
		};
		net_del_route(n, &r, NET_MAY_LACK);
	}
}

int owned_remove_owner(struct net *n, const struct hash *owner, const struct owned_hints *hints,
	enum owned_how how, struct err *e)
{
	CLEANUP_FREE struct net_link *links = NULL;
	int found = find_owner_links(n, owner, hints, &links, e);
	if (found <= 0)
		return found;
	CLEANUP_FREE int *indexes = mem_new((size_t)found, sizeof(*indexes));
	size_t count = 0;
	for (int i = 0; i < found; i++) {
		if (how == OWNED_MARK && owned_is_marked(&links[i]))
			continue;
		if (links[i].is_veth)
			queue_routes(n, links[i].index, hints);
		indexes[count++] = links[i].index;
	}
	int r = mark_links(n, indexes, count, e);
	if (r >= 0)
		r = how == OWNED_DELETE ? owned_sweep(n, e) : net_commit(n, NULL, e);
	return r < 0 ? r : found;
}

struct net_route owned_blackhole(const struct cidr *block)
{
	static const uint32_t metric[FAMILIES] = {0, METRIC_DEFAULT6};
	bool host = block->len == addr_bits(&block->addr);
	return (struct net_route){
		.dst = *block,
		.protocol = OWNED_PROTOCOL,
		.blackhole = true,
		.metric = metric[family_of(block->addr.family)] + host,
	};
}

void owned_queue_blackhole(struct net *n, const struct cidr *block)
{
	struct net_route r = owned_blackhole(block);
	net_add_route(n, &r, NET_MAY_EXIST);
}

int owned_del_blackholes(struct net *n, const struct cidr *blocks, size_t count, struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		struct net_route r = owned_blackhole(&blocks[i]);
		if (blocks[i].len < addr_bits(&blocks[i].addr))
			r.metric = 0; /* any: no pod's route has this prefix */
		net_del_route(n, &r, NET_MAY_LACK);
		int done = net_commit(n, NULL, e);
		if (done < 0)
			return done;
	}
	return 0;
}
