/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ifb device takes no label in the message that creates it, as a veth does not; until the next batch its
 * group and its name, both made from the owner's hash, say whose it is. One that a killed ADD left has the
 * same name: it is deleted and made again. A device with that name that is not of the owner is left alone.
 *
 * The kernel keeps a rate as it is, and a burst as the time that it takes, in units of 64 ns and 32 bits.
 */
#include "lib/shape.h"

#include <errno.h>

#include "lib/owned.h"

#define TICK_NS 64
#define NS_PER_S 1000000000.0

static struct net_rate rate_of(const struct bandwidth *b)
{
	return (struct net_rate){.rate = b->rate / 8, .burst = b->burst};
}

void shape_ask(struct net *n, int link, const struct hash *owner, struct shape *out)
{
	char name[NET_NAME];
	owned_ifb_name(owner, name);
	*out = (struct shape){0};
	net_ask_shape(n, link, &out->link);
	net_ask_redirect(n, link, &out->redirect);
	net_ask_link(n, name, &out->ifb);
}

void shape_ask_ifb(struct net *n, struct shape *s)
{
	if (s->ifb.index)
		net_ask_shape(n, s->ifb.index, &s->sent);
}

/* The burst is compared as far as time shows it. */
static bool is_rate(const struct net_rate *is, const struct bandwidth *must)
{
	const struct net_rate r = rate_of(must);
	double tick = (double)r.rate * TICK_NS / NS_PER_S; /* bytes */
	double off = (double)is->burst - (double)r.burst;
	if (is->rate != r.rate)
		return false;
	if (r.burst / tick > UINT32_MAX)
		return true;
	return (off < 0 ? -off : off) <= (double)r.burst / 8 + 2 * tick;
}

bool shape_receives(const struct shape *s, const struct bandwidths *must)
{
	return !must->ingress.rate || is_rate(&s->link, &must->ingress);
}

static bool is_redirected(const struct shape *s)
{
	return s->ifb.index && s->redirect.to == s->ifb.index;
}

bool shape_sends(const struct shape *s, const struct bandwidths *must)
{
	return !must->egress.rate ||
	       (is_redirected(s) && s->ifb.up && is_rate(&s->sent, &must->egress));
}

static struct bandwidth bandwidth_from(const struct net_rate *r)
{
	return (struct bandwidth){.rate = r->rate * 8, .burst = r->rate ? r->burst : 0};
}

struct bandwidths shape_limits(const struct shape *s)
{
	struct bandwidths out = {.ingress = bandwidth_from(&s->link)};
	if (is_redirected(s))
		out.egress = bandwidth_from(&s->sent);
	return out;
}

static int make_ifb(struct net *n, const struct net_link *link, const struct hash *owner,
	struct net_link *out, struct err *e)
{
	char name[NET_NAME];
	owned_ifb_name(owner, name);
	for (int attempt = 0; attempt < 2; attempt++) {
		*out = (struct net_link){0};
		net_add_ifb(n, name, link->mtu, owned_newborn_group(owner));
		net_ask_link(n, name, out);
		int r = net_commit(n, NULL, e);
		if (r == -EEXIST && owned_is_ifb_of(out, owner)) {
			r = owned_remove(n, &out->index, 1, e);
			if (r < 0)
				return r;
			continue;
		}
		if (r == -EOPNOTSUPP)
			err_add(e,
				"this kernel has no ifb devices, which a limit of what a pod sends "
				"needs");
		return r;
	}
	return err_set(e, EEXIST, "device %s is there again and again", name);
}

static void queue_ifb(struct net *n, const struct net_link *link, const struct net_link *ifb,
	const struct bandwidth *limit)
{
	const struct net_rate rate = rate_of(limit);
	struct net_dev dev = {.index = ifb->index};
	net_set_alias(n, dev, link->alias, 0);
	net_set_no_auto_link_local(n, dev);
	net_set_up(n, dev);
	net_shape(n, ifb->index, &rate);
}

static int apply_egress(struct net *n, const struct net_link *link, const struct hash *owner,
	const struct bandwidth *limit, const struct shape *is, struct err *e)
{
	struct net_link ifb = is->ifb;
	int r = 0;
	if (!ifb.index || !owned_is_ifb_of(&ifb, owner))
		r = make_ifb(n, link, owner, &ifb, e);
	if (r < 0)
		return r;
	queue_ifb(n, link, &ifb, limit);
	if (is->redirect.to == ifb.index)
		return 0;
	if (is->redirect.has_queue)
		net_del_redirect(n, link->index);
	net_redirect(n, link->index, ifb.index);
	return 0;
}

int shape_apply(struct net *n, const struct net_link *link, const struct hash *owner,
	const struct bandwidths *must, const struct shape *is, struct err *e)
{
	const struct net_rate ingress = rate_of(&must->ingress);
	int r = 0;
	if (!shape_receives(is, must))
		net_shape(n, link->index, &ingress);
	if (!shape_sends(is, must))
		r = apply_egress(n, link, owner, &must->egress, is, e);
	int done = net_commit(n, NULL, r < 0 ? &(struct err){0} : e);
	return r < 0 ? r : done;
}
