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
 */
#include "lib/owned.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/mem.h"
#include "lib/text.h"

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
	for (size_t i = 0; i < count; i++) {
		struct owned_link *l = &out->links[out->n_links];
		if (is_newborn(&links[i]))
			out->newborns[out->n_newborns++] = links[i];
		if (!links[i].is_veth || links[i].group == OWNED_REAP_GROUP ||
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
	return o->n_links ? bsearch(&key, o->links, o->n_links, sizeof(key), compare_index) : NULL;
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
	CLEANUP_FREE struct net_route *v4 = NULL;
	CLEANUP_FREE struct net_route *v6 = NULL;
	size_t n4 = 0, n6 = 0;
	int r = list_links(n, &o, e);
	if (r >= 0)
		r = net_list_routes(n, AF_INET, OWNED_PROTOCOL, &v4, &n4, e);
	if (r >= 0)
		r = net_list_routes(n, AF_INET6, OWNED_PROTOCOL, &v6, &n6, e);
	if (r < 0) {
		owned_done(&o);
		return r;
	}
	o.blocks = mem_new(n4 + n6, sizeof(*o.blocks));
	o.strays = mem_new(n4 + n6, sizeof(*o.strays));
	for (size_t i = 0; i < n4; i++)
		place_route(&o, &v4[i]);
	for (size_t i = 0; i < n6; i++)
		place_route(&o, &v6[i]);
	*out = o;
	return 0;
}

void owned_done(struct owned *o)
{
	free(o->links);
	free(o->blocks);
	free(o->strays);
	free(o->newborns);
	*o = (struct owned){0};
}

/* The kernel waits about 20 ms for its readers after a deletion, once per message: so several links
 * are marked with a group first, and the group is deleted. Anything in that group is to go, whoever
 * put it there. */
int owned_remove(struct net *n, const int *indexes, size_t count, struct err *e)
{
	if (count == 1) {
		net_del_link(n, (struct net_dev){.index = indexes[0]}, NET_MAY_LACK);
		return net_commit(n, NULL, e);
	}
	const size_t at_once = 32;
	for (size_t i = 0; i < count; i++) {
		net_set_group(n, (struct net_dev){.index = indexes[i]}, OWNED_REAP_GROUP);
		if (i % at_once != at_once - 1 && i != count - 1)
			continue;
		int r = net_commit(n, NULL, e);
		if (r < 0)
			return r;
	}
	if (count)
		net_del_group(n, OWNED_REAP_GROUP, NET_MAY_LACK);
	return net_commit(n, NULL, e);
}

bool owned_is_link_of(const struct net_link *l, const struct hash *owner)
{
	struct hash h;
	return l->is_veth && hash_parse(l->alias, &h) && hash_equal(&h, owner);
}

static bool is_of(const struct net_link *l, const struct hash *owner)
{
	return owned_is_link_of(l, owner) || owned_is_newborn_of(l, owner);
}

struct owned_hints owned_hints_of(const char *prefix, const struct addr *a)
{
	struct owned_hints h;
	owned_name(prefix, a, h.names[0]);
	owned_name_second(prefix, a, h.names[1]);
	return h;
}

static int find_by_hints(
	struct net *n, const struct hash *owner, const struct owned_hints *hints, int *index)
{
	for (size_t i = 0; hints && i < 2; i++) {
		struct net_link l;
		struct err ignored;
		if (net_find_link(n, (struct net_dev){.name = hints->names[i]}, &l, &ignored) ==
				0 &&
			is_of(&l, owner)) {
			*index = l.index;
			return 1;
		}
	}
	return 0;
}

int owned_remove_owner(
	struct net *n, const struct hash *owner, const struct owned_hints *hints, struct err *e)
{
	int index = 0;
	if (find_by_hints(n, owner, hints, &index)) {
		int r = owned_remove(n, &index, 1, e);
		return r < 0 ? r : 1;
	}
	CLEANUP_FREE struct net_link *links = NULL;
	size_t count = 0;
	int r = net_list_links(n, &links, &count, e);
	if (r < 0)
		return r;
	CLEANUP_FREE int *indexes = mem_new(count, sizeof(*indexes));
	size_t found = 0;
	for (size_t i = 0; i < count; i++)
		if (is_of(&links[i], owner))
			indexes[found++] = links[i].index;
	r = found ? owned_remove(n, indexes, found, e) : 0;
	return r < 0 ? r : (int)found;
}

static struct net_route blackhole_of(const struct cidr *block)
{
	return (struct net_route){.dst = *block, .protocol = OWNED_PROTOCOL, .blackhole = true};
}

void owned_queue_blackhole(struct net *n, const struct cidr *block)
{
	struct net_route r = blackhole_of(block);
	if (block->len < addr_bits(&block->addr))
		net_add_route(n, &r, NET_MAY_EXIST);
}

int owned_del_blackholes(struct net *n, const struct cidr *blocks, size_t count, struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		struct net_route r = blackhole_of(&blocks[i]);
		net_del_route(n, &r, NET_MAY_LACK);
		int done = net_commit(n, NULL, e);
		if (done < 0)
			return done;
	}
	return 0;
}
