/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ifb device takes no label in the message that creates it, as a veth does not; until the next batch its
 * group and its name, both made from the owner's hash, say whose it is. One that a killed ADD left has the
 * same name: it is deleted and made again.
 */
#include "plugins/shape.h"

#include <errno.h>
#include <string.h>

#include "lib/net_shape.h"
#include "lib/owned.h"

static struct net_rate rate_of(const struct bandwidth *b)
{
	return (struct net_rate){.rate = b->rate / 8, .burst = b->burst};
}

static int find_host_end(const struct pod *p, struct net *host, struct net_link *out, struct err *e)
{
	return net_find_link(host, (struct net_dev){.name = p->host}, out, e);
}

static int make_ifb(const struct pod *p, struct net *host, struct net_link *out, struct err *e)
{
	char name[NET_NAME];
	owned_ifb_name(&p->label.owner, name);
	for (int attempt = 0; attempt < 2; attempt++) {
		*out = (struct net_link){0};
		net_add_ifb(host, name, p->mtu, owned_newborn_group(&p->label.owner));
		net_ask_link(host, name, out);
		int r = net_commit(host, NULL, e);
		if (r == -EEXIST && owned_is_ifb_of(out, &p->label.owner)) {
			r = owned_remove(host, &out->index, 1, e);
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

static void queue_ifb(const struct pod *p, struct net *host, const struct net_link *ifb, int link)
{
	const struct net_rate rate = rate_of(&p->limits.egress);
	struct net_dev dev = {.index = ifb->index};
	char label[NET_ALIAS];
	owned_label_format(&p->label, label);
	net_set_alias(host, dev, label, 0);
	net_set_no_auto_link_local(host, dev);
	net_set_up(host, dev);
	net_shape(host, ifb->index, &rate);
	net_redirect(host, link, ifb->index);
}

int shape_apply(const struct pod *p, struct net *host, struct err *e)
{
	const struct net_rate ingress = rate_of(&p->limits.ingress);
	struct net_link link, ifb;
	if (!p->limits.ingress.rate && !p->limits.egress.rate)
		return 0;
	int r = find_host_end(p, host, &link, e);
	if (r >= 0 && p->limits.egress.rate)
		r = make_ifb(p, host, &ifb, e);
	if (r < 0)
		return r;
	if (p->limits.ingress.rate)
		net_shape(host, link.index, &ingress);
	if (p->limits.egress.rate)
		queue_ifb(p, host, &ifb, link.index);
	return net_commit(host, NULL, e);
}

/* The kernel keeps a rate as it is, and a burst as time. */
static bool is_rate(const struct net_rate *is, const struct bandwidth *must)
{
	return is->rate == must->rate / 8;
}

static int missing(const char *what, const char *device, struct err *e)
{
	return err_set(e, ENODATA, "the limit of what the pod %s is missing on %s", what, device);
}

int shape_check(const struct bandwidths *must, const struct hash *owner,
	const struct net_link *link, struct net *host, struct err *e)
{
	struct net_rate ingress, egress = {0};
	struct net_link ifb = {0};
	bool redirected = false;
	char name[NET_NAME];
	if (!must->ingress.rate && !must->egress.rate)
		return 0;
	owned_ifb_name(owner, name);
	net_ask_shape(host, link->index, &ingress);
	net_ask_redirect(host, link->index, &redirected);
	net_ask_link(host, name, &ifb);
	int r = net_commit(host, NULL, e);
	if (r >= 0 && ifb.index) {
		net_ask_shape(host, ifb.index, &egress);
		r = net_commit(host, NULL, e);
	}
	if (r < 0)
		return r;
	if (must->ingress.rate && !is_rate(&ingress, &must->ingress))
		return missing("receives", link->name, e);
	if (must->egress.rate && !redirected)
		return missing("sends", link->name, e);
	if (must->egress.rate && (!is_rate(&egress, &must->egress) || !ifb.up))
		return missing("sends", name, e);
	return 0;
}
