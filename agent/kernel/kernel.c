/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libnl's cache manager keeps links and addresses as the kernel has them, fed by notifications on one
 * non-blocking socket. What a read shows to the outside is the facts: made from the caches after
 * each batch of notifications and compared with those before, so that the many that mean nothing here
 * (a pod's link is created in five of them, counters, renewals of an address's lifetime) end
 * in this file. The host ends of pods are left out of the facts, however many there are.
 *
 * Routes are not cached. agent/kernel/watch.c says that something about the few that matter changed; the
 * default routes are asked for by a look-up, which costs the same with a hundred thousand routes. The
 * host's own other routes cost a walk through all, so they are read again only when the watch, or
 * a link or address that changed (their routes may go without a word), asks for it.
 *
 * When the socket overruns, notifications are lost: what is queued is read first (it is older than
 * what a new dump says), then both caches are made equal to a dump.
 *
 * Everything is in the namespace in which kernel_open() was called.
 */
#include "agent/kernel/kernel.h"

#include <errno.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <netlink/cache.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/kernel/blackholes.h"
#include "agent/kernel/hostroutes.h"
#include "agent/kernel/ipip.h"
#include "agent/kernel/linkcache.h"
#include "agent/kernel/podwatch.h"
#include "agent/kernel/vxlan.h"
#include "agent/kernel/watch.h"
#include "lib/forward.h"
#include "lib/mem.h"
#include "lib/net_link.h"
#include "lib/net_route.h"
#include "lib/owned.h"
#include "lib/text.h"
#include "lib/wait.h"

#define EVENT_BYTES (4 << 20) /* room for notifications: some thousands */

struct kernel {
	struct nl_sock *events; /* the manager's, which does not close it */
	struct nl_sock *sync;	/* for dumps after an overrun */
	struct nl_cache_mngr *manager;
	struct nl_cache *links, *addrs; /* the manager's */
	struct watch *watch;
	struct podwatch *podwatch;
	struct net *net;
	struct vxlan *vxlan;
	struct wait wait; /* for notifications; its time has come: kernel_read() has more to say */
	bool signs[PODWATCH_SOCKETS]; /* of podwatch, not yet taken */
	bool pending;		      /* a change that was not reported yet */
	bool said_marked;	      /* KERNEL_MARKED was returned while the change was pending */
	struct facts shown;
	bool knows_routes;		  /* those of shown are what the kernel has */
	bool walked;			  /* kernel_poolroutes() was called since something moved */
	char devices[FAMILIES][NET_NAME]; /* our VXLAN devices, as of the last sync */
};

static int libnl_error(int nl, const char *what, struct err *e)
{
	return err_set(e, EIO, "cannot %s: %s", what, nl_geterror(nl));
}

/* ---- Opening ---- */

static int open_caches(struct kernel *k, struct err *e)
{
	k->events = nl_socket_alloc();
	k->sync = nl_socket_alloc();
	if (!k->events || !k->sync)
		err_abort("out of memory");
	int nl = nl_connect(k->sync, NETLINK_ROUTE);
	if (nl == 0)
		nl = nl_cache_mngr_alloc(k->events, NETLINK_ROUTE, 0, &k->manager);
	if (nl < 0)
		return libnl_error(nl, "open a netlink socket", e);
	int bytes = EVENT_BYTES; /* a smaller buffer overruns earlier, nothing else */
	(void)setsockopt(
		nl_socket_get_fd(k->events), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	nl = nl_cache_mngr_add(k->manager, "route/link", NULL, NULL, &k->links);
	if (nl == 0)
		nl = nl_cache_mngr_add(k->manager, "route/addr", NULL, NULL, &k->addrs);
	return nl < 0 ? libnl_error(nl, "list links and addresses", e) : 0;
}

int kernel_open(struct kernel **out, struct err *e)
{
	struct kernel *k = mem_new(1, sizeof(*k));
	k->wait = (struct wait)WAIT_CLOSED;
	int r = net_open(&k->net, e);
	if (r >= 0)
		r = vxlan_open(&k->vxlan, e);
	if (r >= 0)
		r = watch_open(&k->watch, e);
	if (r >= 0)
		r = podwatch_open(&k->podwatch, e);
	if (r >= 0)
		r = open_caches(k, e);
	if (r >= 0)
		r = wait_open(&k->wait, e);
	if (r >= 0)
		r = wait_add(&k->wait, nl_socket_get_fd(k->events), EPOLLIN, 0, e);
	if (r >= 0)
		r = wait_add(&k->wait, watch_fd(k->watch), EPOLLIN, 0, e);
	for (int i = 0; i < PODWATCH_SOCKETS && r >= 0; i++)
		r = wait_add(&k->wait, podwatch_fd(k->podwatch, i), EPOLLIN, 0, e);
	if (r >= 0)
		r = kernel_facts(k, &k->shown, e);
	if (r < 0) {
		kernel_close(k);
		return r;
	}
	*out = k;
	return 0;
}

void kernel_close(struct kernel *k)
{
	if (!k)
		return;
	if (k->manager)
		nl_cache_mngr_free(k->manager);
	nl_socket_free(k->events);
	nl_socket_free(k->sync);
	watch_close(k->watch);
	podwatch_close(k->podwatch);
	vxlan_close(k->vxlan);
	net_close(k->net);
	wait_close(&k->wait);
	facts_done(&k->shown);
	free(k);
}

int kernel_fd(const struct kernel *k)
{
	return wait_fd(&k->wait);
}

/* ---- Facts ---- */

static int read_defaults(struct kernel *k, struct facts *f, struct err *e)
{
	struct net_route routes[FAMILIES] = {0};
	struct net_host host;
	for (enum family i = IPV4; i < FAMILIES; i++)
		net_ask_default(k->net, family_af(i), &routes[i]);
	int r = net_commit(k->net, NULL, e);
	if (r >= 0)
		r = net_get_host(k->net, &host, e);
	if (r < 0)
		return r;
	for (enum family i = IPV4; i < FAMILIES; i++)
		if (routes[i].dev && routes[i].dst.len == 0)
			f->defaults[i] = (struct facts_route){
				.dst.addr.family = family_af(i),
				.via = routes[i].via,
				.link = routes[i].dev,
			};
	memcpy(f->forwards, host.forwards, sizeof(f->forwards));
	return 0;
}

int kernel_facts(struct kernel *k, struct facts *out, struct err *e)
{
	struct facts f = {0};
	int r = read_defaults(k, &f, e);
	if (r < 0)
		return r;
	linkcache_links(k->links, &f);
	linkcache_addrs(k->addrs, &f);
	r = hostroutes_settings(k->net, &f, e);
	memcpy(f.routes, k->shown.routes, sizeof(f.routes));
	f.n_routes = k->shown.n_routes;
	if (r >= 0 && (!k->knows_routes || !facts_equal(&k->shown, &f)))
		r = hostroutes_list(k->net, &f, e);
	if (r < 0) {
		facts_done(&f);
		return r;
	}
	*out = f;
	return 0;
}

int kernel_route_dev(struct kernel *k, const struct addr *a)
{
	struct net_route route;
	struct err ignored; /* unreachable is an answer */
	return net_find_route(k->net, a, &route, &ignored) < 0 ? 0 : route.dev;
}

bool kernel_ipip_is_foreign(struct kernel *k)
{
	return ipip_is_foreign(k->net);
}

/* ---- Notifications ---- */

static int list_caches_again(struct kernel *k, struct err *e)
{
	int nl = nl_cache_resync(k->sync, k->links, NULL, NULL);
	if (nl == 0)
		nl = nl_cache_resync(k->sync, k->addrs, NULL, NULL);
	return nl < 0 ? libnl_error(nl, "list links and addresses again", e) : 0;
}

/* Each error is reported once by the socket; a few in a row are a storm, and the dump mends them
 * all. */
static int read_notifications(struct kernel *k, struct err *e)
{
	bool lost = false;
	for (int tries = 0; tries < 8; tries++) {
		if (nl_cache_mngr_data_ready(k->manager) >= 0)
			break;
		lost = true;
	}
	return lost ? list_caches_again(k, e) : 0;
}

static size_t count_marked(const struct kernel *k)
{
	size_t n = 0;
	for (struct nl_object *o = nl_cache_get_first(k->links); o; o = nl_cache_get_next(o)) {
		struct rtnl_link *l = (struct rtnl_link *)o;
		n += rtnl_link_get_family(l) == AF_UNSPEC && linkcache_is_marked(l);
	}
	return n;
}

/* The devices whose neighbours are watched, as soon as they show up. */
static int follow_devices(struct kernel *k, struct err *e)
{
	int devices[FAMILIES];
	for (enum family i = IPV4; i < FAMILIES; i++) {
		const struct facts_link *l = facts_named(&k->shown, k->devices[i]);
		devices[i] = l ? l->index : 0;
	}
	return watch_devices(k->watch, devices, e);
}

static int update_facts(struct kernel *k, struct err *e)
{
	struct facts now = {0};
	int r = kernel_facts(k, &now, e);
	if (r < 0)
		return r;
	if (!facts_equal(&k->shown, &now)) {
		k->pending = true;
		k->walked = false;
	}
	facts_done(&k->shown);
	k->shown = now;
	k->knows_routes = true;
	return follow_devices(k, e);
}

static int read_signs(struct kernel *k, struct err *e)
{
	bool now[PODWATCH_SOCKETS];
	int r = podwatch_read(k->podwatch, now, e);
	for (size_t i = 0; i < PODWATCH_SOCKETS && r >= 0; i++)
		k->signs[i] |= now[i];
	return r;
}

struct kernel_signs kernel_take_signs(struct kernel *k)
{
	struct kernel_signs s = {k->signs[PODWATCH_ROUTE], k->signs[PODWATCH_TABLES]};
	memset(k->signs, 0, sizeof(k->signs));
	return s;
}

int kernel_read(struct kernel *k, struct err *e)
{
	wait_at(&k->wait, WAIT_NEVER);
	int r = read_signs(k, e);
	if (r >= 0)
		r = watch_read(k->watch, e);
	if (r > 0) {
		k->pending = true;
		k->knows_routes = k->walked = false;
	}
	if (r >= 0)
		r = read_notifications(k, e);
	if (r >= 0)
		r = update_facts(k, e);
	if (r < 0)
		return r;
	bool marked = count_marked(k) > 0;
	if (k->pending && (!marked || k->said_marked)) {
		k->pending = k->said_marked = false;
		return KERNEL_CHANGED;
	}
	if (!marked)
		return KERNEL_SAME;
	/* One wake-up for the change: were the marks to stay, this must not go round and round. */
	k->said_marked = k->pending;
	if (k->pending)
		wait_at(&k->wait, 0);
	return KERNEL_MARKED;
}

/* The kernel is asked even if no mark was seen: it says nothing of a mark on a link that was down
 * already (netdev_state_change() in net/core/dev.c). */
int kernel_delete_marked_links(struct kernel *k, struct err *e)
{
	size_t n = count_marked(k);
	net_del_group(k->net, OWNED_REAP_GROUP, NET_STRICT);
	int r = net_commit(k->net, NULL, e);
	if (r == -ENODEV)
		return 0;
	return r < 0 ? r : (int)(n ? n : 1);
}

/* ---- Making it so ---- */

/* Our tunnels forward what arrives; of other devices the administrator decides. */
static bool is_tunnel_of(const struct facts_link *l, const struct kernel_want *w)
{
	for (enum family i = IPV4; i < FAMILIES; i++)
		if (w->vxlan[i].on && strcmp(l->name, w->vxlan[i].device) == 0)
			return true;
	return w->ipip.on && strcmp(l->name, IPIP_DEVICE) == 0;
}

static int sync_tunnel_forwarding(struct kernel *k, const struct kernel_want *w, struct err *e)
{
	static const struct net_conf4 on = {IPV4_DEVCONF_FORWARDING, 1};
	int changes = 0;
	for (size_t i = 0; i < k->shown.n_links; i++) {
		const struct facts_link *l = &k->shown.links[i];
		if (!l->no_forward || !is_tunnel_of(l, w))
			continue;
		net_set_conf4(k->net, (struct net_dev){.index = l->index}, &on, 1);
		changes++;
	}
	int r = net_commit(k->net, NULL, e);
	return r < 0 ? r : changes;
}

static int sync_forwarding(struct kernel *k, const struct kernel_want *w, struct err *e)
{
	struct net_host host;
	int changes = 0;
	int r = net_get_host(k->net, &host, e);
	for (enum family f = IPV4; f < FAMILIES && r >= 0; f++)
		if (w->forward[f] && !host.forwards[f]) {
			r = forward_on(k->net, family_af(f), NULL, e);
			changes++;
		}
	int tunnels = r < 0 ? r : sync_tunnel_forwarding(k, w, e);
	return tunnels < 0 ? tunnels : changes + tunnels;
}

/* What a part did is added up; its error is kept and does not stop the others. A part has one problem
 * at a time. */
static void add_result(
	const char *part, int r, const struct err *e, int *total, struct problems *problems)
{
	if (r >= 0) {
		*total += *total >= 0 ? r : 0;
		return;
	}
	if (*total >= 0)
		*total = r;
	problems_add_as(problems, part, "%s%s%s", e->text, e->details[0] ? "; " : "", e->details);
}

int kernel_sync(struct kernel *k, const struct kernel_want *w, struct problems *problems)
{
	static const char *const vxlan_parts[FAMILIES] = {"vxlan of IPv4", "vxlan of IPv6"};
	struct err e = {0};
	int total = 0;
	add_result("forwarding", sync_forwarding(k, w, &e), &e, &total, problems);
	add_result("blackholes", blackholes_sync(k->net, w->blackholes, w->n_blackholes, &e), &e,
		&total, problems);
	add_result("exits", exits_sync(k->net, &w->exits, &e), &e, &total, problems);
	for (enum family i = IPV4; i < FAMILIES; i++) {
		add_result(vxlan_parts[i], vxlan_sync(k->vxlan, &w->vxlan[i], &e), &e, &total,
			problems);
		(void)text_copy(k->devices[i], sizeof(k->devices[i]),
			w->vxlan[i].on ? w->vxlan[i].device : "");
	}
	add_result("ipip", ipip_sync(k->net, &w->ipip, &e), &e, &total, problems);
	return total;
}

int kernel_poolroutes(struct kernel *k, const struct poolroute_query *q, struct poolroute **out,
	size_t *n, struct err *e)
{
	k->walked = true;
	return poolroute_list(k->net, q, out, n, e);
}

bool kernel_poolroutes_moved(const struct kernel *k)
{
	return !k->walked;
}

int kernel_exits(struct kernel *k, uint32_t table, struct exits_route out[EXITS_ROUTES], size_t *n,
	struct err *e)
{
	return exits_list(k->net, table, out, n, e);
}
