/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first look takes no lock: with nothing wrong it only reads. What seems wrong may be an ADD or DEL half
 * way through, so a pod is looked at a second time under its own lock (the one that ADD and DEL hold), and
 * that look counts. A lock that somebody has is not waited for.
 *
 * What comes again and again is somebody else's doing: after the third time it is a problem instead of a line in
 * the log, until it stays away for ten minutes.
 */
#include "agent/pods.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipam/node.h"
#include "lib/file.h"
#include "lib/hostport.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/search.h"
#include "lib/text.h"
#include "lib/wiring.h"

#define REST_MS 1000
#define OFTEN 3
#define QUIET_MS INT64_C(600000) /* ten minutes */

int pods_open(struct pods *p, struct err *e)
{
	return net_open(&p->net, e);
}

void pods_close(struct pods *p)
{
	net_close(p->net);
	p->net = NULL;
}

int64_t pods_next(const struct pods *p, int64_t wanted_ms)
{
	int64_t rested = p->looked_ms ? p->looked_ms + REST_MS : 0;
	return wanted_ms > rested ? wanted_ms : rested;
}

/* Its entry; a new one takes the place of the one that was quiet for longest. */
static struct pods_mended *mended_entry(struct pods *p, const char *is, int64_t now_ms)
{
	size_t oldest = 0;
	for (size_t i = 0; i < p->n_mended; i++) {
		if (strcmp(p->mended[i].is, is) == 0)
			return &p->mended[i];
		if (p->mended[i].last_ms < p->mended[oldest].last_ms)
			oldest = i;
	}
	struct pods_mended *m = &p->mended[p->n_mended < PODS_MENDED ? p->n_mended++ : oldest];
	*m = (struct pods_mended){.first_ms = now_ms};
	(void)text_copy(m->is, sizeof(m->is), is);
	return m;
}

/* " (pod NAMESPACE/NAME)", or "". */
static void pod_text(const struct wiring_pod *pod, char *out, size_t size)
{
	struct owned_label label;
	*out = '\0';
	if (pod && owned_label_parse(pod->link.alias, &label) && *label.pod)
		(void)snprintf(out, size, " (pod %s)", label.pod);
}

static void note_mended(
	struct pods *p, const struct wiring_pod *pod, const struct wiring_faults *f, int64_t now_ms)
{
	char whose[sizeof(((struct owned_label *)0)->pod) + 8];
	char more[32] = "";
	char is[sizeof(p->mended->is)];
	pod_text(pod, whose, sizeof(whose));
	(void)text_copy(is, sizeof(is), f->v[0].is);
	struct pods_mended *m = mended_entry(p, is, now_ms);
	m->times++;
	m->last_ms = now_ms;
	if (f->n > 1)
		(void)snprintf(more, sizeof(more), " (and %zu more)", f->n - 1);
	if (m->times < OFTEN)
		log_warning("put right: %s%s%s", f->v[0].is, whose, more);
}

static void name_frequent(struct pods *p, int64_t now_ms)
{
	size_t kept = 0;
	for (size_t i = 0; i < p->n_mended; i++)
		if (now_ms - p->mended[i].last_ms < QUIET_MS)
			p->mended[kept++] = p->mended[i];
	p->n_mended = kept;
	for (size_t i = 0; i < kept; i++)
		if (p->mended[i].times >= OFTEN)
			problems_add(&p->problems,
				"%s: put right again and again, so something on this node changes "
				"it",
				p->mended[i].is);
}

static void name_faults(struct pods *p, const struct wiring_faults *f, const struct err *why)
{
	for (size_t i = 0; i < f->n; i++)
		problems_add(&p->problems, "%s%s%s", f->v[i].is,
			why && !i ? ", and cannot be put right: " : "", why && !i ? why->text : "");
}

/* Looks at one pod under its lock. pod->link is the one it was found with; it may be gone. */
static int look_alone(
	struct pods *p, struct wiring_pod *pod, struct wiring_faults *out, struct err *e)
{
	struct wiring_host host;
	struct wiring_pod now = {.owner = pod->owner,
		.n_addrs = pod->n_addrs,
		.ports = pod->ports,
		.n_ports = pod->n_ports,
		.limits = pod->limits};
	struct err gone;
	*out = (struct wiring_faults){0};
	memcpy(now.addrs, pod->addrs, sizeof(now.addrs));
	if (net_find_link(p->net, (struct net_dev){.index = pod->link.index}, &now.link, &gone) <
			0 ||
		!owned_is_link_of(&now.link, &pod->owner) || owned_is_marked(&now.link))
		return 0;
	int r = wiring_look(p->net, &now, 1, &host, e);
	if (r < 0)
		return r;
	wiring_compare(&now, out);
	*pod = now;
	return 0;
}

static void mend_locked(struct pods *p, struct wiring_pod *pod, int64_t now_ms)
{
	struct wiring_faults found, left = {0};
	struct err e, why;
	int r = look_alone(p, pod, &found, &e);
	int mended = r < 0 || !found.n ? 0 : wiring_mend(p->net, pod, &found, &why);
	if (r >= 0 && found.n)
		r = look_alone(p, pod, &left, &e);
	if (r < 0)
		problems_add(&p->problems, "pod link %s cannot be looked at: %s", pod->link.name,
			e.text);
	else if (left.n)
		name_faults(p, &left, mended < 0 ? &why : NULL);
	else if (found.n)
		note_mended(p, pod, &found, now_ms);
}

/* 1: somebody has the pod's lock. */
static int mend_pod(
	struct pods *p, struct node_states *s, size_t dir, struct wiring_pod *pod, int64_t now_ms)
{
	struct node *state;
	struct node_leases leases;
	struct err e;
	int r = node_states_lock_pod(s, dir, &pod->owner, &state, &leases, &e);
	if (r < 0)
		problems_add(&p->problems, "pod link %s cannot be looked at: %s", pod->link.name,
			e.text);
	if (r <= 0)
		return r == 0;
	CLEANUP_FREE struct port *ports = NULL;
	int n_ports = node_ports(state, &pod->owner, &ports, &e);
	pod->ports = ports;
	pod->n_ports = n_ports > 0 ? (size_t)n_ports : 0;
	if (node_get_limits(state, &pod->owner, &pod->limits, &e) < 0)
		pod->limits = (struct bandwidths){0};
	pod->n_addrs = 0;
	for (size_t i = 0; i < leases.n; i++)
		pod->addrs[pod->n_addrs++] = leases.v[i].addr;
	if (leases.n) /* else it is gone */
		mend_locked(p, pod, now_ms);
	pod->ports = NULL;
	pod->n_ports = 0;
	node_close(state);
	return 0;
}

static void mend_host(struct pods *p, struct wiring_host *h, int64_t now_ms)
{
	struct wiring_faults faults = {0};
	struct err e;
	wiring_compare_host(h, &faults);
	if (!faults.n)
		return;
	if (wiring_mend_host(p->net, h, &faults, &e) < 0)
		name_faults(p, &faults, &e);
	else
		note_mended(p, NULL, &faults, now_ms);
}

/* ---- Which pods ---- */

static int compare_owner(const void *a, const void *b)
{
	return hash_compare(&((const struct node_states_pod *)a)->owner,
		&((const struct node_states_pod *)b)->owner);
}

/* The first record of an owner, NULL. */
static const struct node_states_pod *first_record(
	const struct hash *owner, const struct node_states_pod *records, size_t n)
{
	const struct node_states_pod key = {.owner = *owner};
	const struct node_states_pod *at =
		search_find(records, n, sizeof(key), &key, compare_owner);
	while (at && at > records && hash_equal(&at[-1].owner, owner))
		at--;
	return at;
}

/* Fills in the addresses that are recorded for the owner of a link. false: none is. */
static bool take_record(struct wiring_pod *pod, const struct node_states_pod *records, size_t n)
{
	const struct node_states_pod *at = first_record(&pod->owner, records, n);
	for (; at && at < records + n && hash_equal(&at->owner, &pod->owner); at++)
		if (pod->n_addrs < OWNED_ADDRS)
			pod->addrs[pod->n_addrs++] = at->addr;
	return pod->n_addrs;
}

/* Two links of one owner: one is stale, and an ADD or people decide which. */
static bool is_alone(const struct wiring_pod *pods, size_t n, size_t i)
{
	for (size_t j = 0; j < n; j++)
		if (j != i && hash_equal(&pods[j].owner, &pods[i].owner))
			return false;
	return true;
}

/* Host ports of pods that ended without a DEL. */
static void remove_orphans(struct pods *p)
{
	CLEANUP_FREE struct hash *owners = NULL;
	size_t n = 0;
	struct err e;
	int r = hostport_orphans(p->net, &owners, &n, &e);
	if (r >= 0 && n)
		r = hostport_remove(owners, n, NULL, &e);
	if (r < 0)
		problems_add_as(
			&p->problems, "ports", "host ports of pods that are gone stay: %s", e.text);
	else if (n && r)
		log_info("removed host ports of pods that are gone pods=%zu", n);
}

static int list_pods(struct pods *p, const struct node_states_pod *records, size_t n_records,
	struct wiring_pod **out, size_t *count, struct err *e)
{
	size_t n = 0, kept = 0;
	int r = wiring_find(p->net, out, &n, e);
	if (r < 0)
		return r;
	bool *alone = mem_new(n + 1, sizeof(*alone));
	for (size_t i = 0; i < n; i++)
		alone[i] = is_alone(*out, n, i);
	for (size_t i = 0; i < n; i++)
		if (alone[i] && take_record(&(*out)[i], records, n_records))
			(*out)[kept++] = (*out)[i];
	free(alone);
	*count = kept;
	return 0;
}

/* Ours to name alone: the host may want it, and pods of before have it whatever it becomes. */
static void name_arp_ignore(struct pods *p, const struct wiring_host *host)
{
	static const char *const path = "/proc/sys/net/ipv4/conf/all/arp_ignore";
	struct err ignored; /* no such setting, no problem */
	long value = 0;
	if (host->has[IPV4] && file_get_number(path, &value, &ignored) == 0 && value >= 2)
		problems_add(&p->problems,
			"net.ipv4.conf.all.arp_ignore is %ld: pods inherit it and answer no ARP of "
			"this host, which reaches a new pod only after half a minute: sysctl -w "
			"net.ipv4.conf.all.arp_ignore=1",
			value);
}

int pods_look(struct pods *p, struct node_states *s, int64_t now_ms)
{
	CLEANUP_FREE struct node_states_pod *records = NULL;
	CLEANUP_FREE struct wiring_pod *pods = NULL;
	size_t n_records = 0, n = 0;
	struct wiring_host host = {0};
	struct err e;
	int again = 0;
	p->looked_ms = now_ms;
	p->problems = (struct problems){0};
	struct node_states_wants wants = {0};
	remove_orphans(p);
	node_states_pods(s, &records, &n_records, &wants);
	int r = list_pods(p, records, n_records, &pods, &n, &e);
	for (size_t i = 0; i < n && r >= 0; i++) {
		pods[i].ports = ports_list_of(&wants.ports, &pods[i].owner, &pods[i].n_ports);
		pods[i].limits = node_limits_of(wants.limits, wants.n_limits, &pods[i].owner);
	}
	if (r >= 0)
		r = wiring_look(p->net, pods, n, &host, &e);
	if (r < 0)
		problems_add_as(&p->problems, "pods", "pods cannot be looked at: %s", e.text);
	for (size_t i = 0; i < n && r >= 0; i++) {
		struct wiring_faults faults = {0};
		wiring_compare(&pods[i], &faults);
		if (faults.n)
			again |= mend_pod(p, s,
				first_record(&pods[i].owner, records, n_records)->dir, &pods[i],
				now_ms);
	}
	node_states_wants_done(&wants);
	if (r >= 0)
		mend_host(p, &host, now_ms);
	name_arp_ignore(p, &host);
	name_frequent(p, now_ms);
	return again;
}
