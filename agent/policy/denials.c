/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every packet that the kernel tells of is counted in the list; which of them become lines says the reader. The kernel
 * has a limit of its own for each rule, so numbers are lower bounds.
 *
 * An Event is of the pod that is judged: the one that would have received, or the one that sent. Packets of pods whose
 * policies are not known yet become none, as that is over in a moment, nor do those that are logged and go on.
 */
#include "agent/policy/denials.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/policy/denied.h"
#include "agent/policy/pod_events.h"
#include "agent/policy/writer.h"
#include "lib/boot.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/ring.h"
#include "lib/text.h"
#include "policy/match.h"

#define TURN 100      /* packets of one turn */
#define STAGED_TOLD 4 /* policies of an entry */
#define LATEST                                                                                     \
	400 /* that are remembered: with the longest names an answer at the socket holds them */

struct denials {
	struct policy_denied *reader;
	struct ring *latest, *staged;
	struct pod_events *events;
	uint64_t request; /* an Event is being made; 0: none */
};

int denials_open(struct denials **out, struct err *e)
{
	struct policy_denied *reader = NULL;
	int r = policy_denied_open(POLICY_LOG_GROUP, &reader, e);
	if (r < 0)
		return r;
	struct denials *d = mem_new(1, sizeof(*d));
	d->reader = reader;
	d->latest = ring_new(LATEST);
	d->staged = ring_new(LATEST);
	d->events = pod_events_new();
	*out = d;
	return 0;
}

void denials_close(struct denials *d)
{
	if (!d)
		return;
	policy_denied_close(d->reader);
	ring_free(d->latest);
	ring_free(d->staged);
	pod_events_free(d->events);
	free(d);
}

int denials_fd(const struct denials *d)
{
	return policy_denied_fd(d->reader);
}

/* ---- A packet ---- */

struct denial {
	const struct policy_denied_packet *packet;
	const struct policy_pod *pods[2]; /* sender, receiver; NULL: no pod's address */
	struct hash key;
	char way[8]; /* "in", "out", "host" */
	char kind;   /* POLICY_COUNTS_...; 0: pending, or not known */
	struct text why;
};

static void denial_read(
	const struct policy_denied_packet *p, const struct denials_view *v, struct denial *out)
{
	struct text way = TEXT_ON(out->way);
	struct policy_counted about = {0};
	*out = (struct denial){.packet = p, .key = policy_denied_key(p)};
	text_add_bytes(&way, p->prefix, strcspn(p->prefix, " "));
	out->pods[0] = policy_world_owner(v->world, &p->source);
	out->pods[1] = policy_world_owner(v->world, &p->destination);
	if (policy_compiler_counted(v->compiler, p->prefix, &about))
		out->kind = about.kind;
	(void)policy_compiler_explain_counter(v->compiler, p->prefix, &out->why);
}

static const char *denial_why(const struct denial *x)
{
	return x->why.buf ? x->why.buf : "";
}

static void denial_name(const struct policy_pod *pod, char *out, size_t size)
{
	*out = '\0';
	if (pod)
		(void)snprintf(out, size, "%s/%s", pod->namespace, pod->name);
}

#define NAME (POLICY_NAMESPACE + POLICY_NAME)

static void denial_describe(
	const struct denial *x, const struct policy_denied_packet *p, struct text *out)
{
	char names[2][NAME];
	const char *const who[2] = {names[0], names[1]};
	denial_name(x->pods[0], names[0], sizeof(names[0]));
	denial_name(x->pods[1], names[1], sizeof(names[1]));
	policy_denied_describe(p, who, denial_why(x), out);
}

/* pods: the ends; NULL: no pod's address. */
static json_t *denial_object(const struct policy_flow *f, const struct policy_pod *const pods[2],
	const char *way, const char *by)
{
	char names[2][NAME];
	CLEANUP_TEXT struct text port = {0};
	denial_name(pods[0], names[0], sizeof(names[0]));
	denial_name(pods[1], names[1], sizeof(names[1]));
	policy_say_flow(&port, f);
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "way", json_of_text(way), "source",
		json_of_addr(&f->source), "sourcePod", json_of_text(names[0]), "destination",
		json_of_addr(&f->destination), "destinationPod", json_of_text(names[1]), "port",
		json_of_text(port.buf), "by", json_of_text(by));
}

static json_t *denial_document(const struct denial *x)
{
	const struct policy_denied_packet *p = x->packet;
	const struct policy_flow flow = {.source = p->source,
		.destination = p->destination,
		.proto = p->proto,
		.dport = p->dport,
		.icmp_type = p->icmp_type,
		.icmp_code = p->icmp_code};
	json_t *o = denial_object(&flow, x->pods, x->way, denial_why(x));
	json_put(o, "isolated", json_boolean(x->kind == POLICY_COUNTS_ISOLATED));
	return o;
}

static void denial_remember(struct denials *d, const struct denial *x)
{
	const char *kind = x->kind == POLICY_COUNTS_LOGGED ? "logged" : "denied";
	int64_t now_s = boot_wall_s();
	if (!ring_again(d->latest, &x->key, 1, now_s))
		ring_add(d->latest, &x->key, kind, denial_document(x), 1, now_s);
}

static void denial_log(const struct denial *x)
{
	CLEANUP_TEXT struct text line = {0};
	denial_describe(x, x->packet, &line);
	log_info("%s", line.buf ? line.buf : "");
}

static void denial_to_event(struct denials *d, const struct denial *x, int64_t now_ms)
{
	bool is_in = strcmp(x->way, "in") == 0;
	const struct policy_pod *pod = x->pods[is_in];
	struct policy_denied_packet alike = *x->packet;
	CLEANUP_TEXT struct text text = {0};
	if (!pod || !*pod->uid ||
		(x->kind != POLICY_COUNTS_ISOLATED && x->kind != POLICY_COUNTS_DENIED))
		return;
	alike.sport = 0;
	alike.before = 0;
	denial_describe(x, &alike, &text);
	pod_events_see(d->events, pod, &x->key, text.buf ? text.buf : "", 1, now_ms);
}

void denials_read(struct denials *d, const struct denials_view *v, int64_t now_ms)
{
	struct policy_denied_packet p;
	struct err e;
	int r = 1;
	for (int i = 0; i < TURN && r > 0; i++) {
		struct denial x;
		r = policy_denied_next(d->reader, now_ms, &p, &e);
		if (r <= 0)
			break;
		denial_read(&p, v, &x);
		denial_remember(d, &x);
		if (p.is_news)
			denial_log(&x);
		if (v->events)
			denial_to_event(d, &x, now_ms);
		text_free(&x.why);
	}
	if (r < 0)
		log_warning("cannot read which packets were denied: %s", e.text);
}

/* ---- Staged policies ---- */

static void say_staged(struct text *t, const struct policy_world *w, const struct policy_pod *pod,
	enum policy_direction direction)
{
	size_t n, told = 0;
	const struct policy *const *v = policy_world_policies(w, &n);
	for (size_t i = 0; i < n && told < STAGED_TOLD; i++)
		if (v[i]->staged && v[i]->applies[direction] && policy_selects(w, v[i], pod))
			text_add(t, "%s%s", told++ ? ", " : "", POLICY_STRING(v[i]));
}

void denials_note_staged(struct denials *d, const struct policy_world *w,
	const struct policy_flow *flow, enum policy_direction direction)
{
	bool is_in = direction == POLICY_INGRESS;
	const char *way = is_in ? "in" : flow->to_node ? "host" : "out";
	const struct policy_pod *const pods[2] = {
		policy_world_owner(w, &flow->source), policy_world_owner(w, &flow->destination)};
	CLEANUP_TEXT struct text key = {0};
	CLEANUP_TEXT struct text by = {0};
	int64_t now_s = boot_wall_s();
	text_add(&key, "staged %s %s %s %u %u %d", way, ADDR_STRING(&flow->source),
		ADDR_STRING(&flow->destination), flow->proto, flow->dport, flow->icmp_type);
	const struct hash hash = hash_of(key.buf, key.len);
	if (!pods[is_in] || ring_again(d->staged, &hash, 1, now_s))
		return;
	say_staged(&by, w, pods[is_in], direction);
	ring_add(d->staged, &hash, "staged", denial_object(flow, pods, way, by.buf ? by.buf : ""),
		1, now_s);
}

/* ---- Events ---- */

void denials_step(struct denials *d, struct kube *kube, const char *node, int64_t now_ms)
{
	if (!kube || d->request)
		return;
	struct pod_events_request r = pod_events_next(d->events, node, now_ms, boot_wall_s());
	if (r.body)
		d->request = kube_start_request(
			kube, r.is_patch ? KUBE_PATCH : KUBE_POST, r.path, r.body, 0);
	json_decref(r.body);
}

int64_t denials_next(const struct denials *d)
{
	return d->request ? INT64_MAX : pod_events_due(d->events);
}

bool denials_take(struct denials *d, const struct kube_event *ev)
{
	if (!d->request || ev->id != d->request)
		return false;
	d->request = 0;
	pod_events_answer(d->events, ev->kind == KUBE_ANSWER ? ev->status : 0, boot_now_ms());
	return true;
}

/* ---- For people ---- */

int denials_answer(const struct denials *d, const json_t *request, json_t **out, struct err *e)
{
	int64_t after = 0;
	bool staged = false;
	int r = json_get_number(request, "", "after", 0, INT64_MAX, &after, e);
	if (r >= 0)
		r = json_get_bool(request, "", "staged", &staged, e);
	if (r < 0)
		return -EINVAL;
	const struct ring *ring = staged ? d->staged : d->latest;
	*out = json_pack("{s:o, s:o}", "number", json_of_number(ring_number(ring)), "denied",
		ring_list(ring, staged ? "staged" : "denied", (uint64_t)after));
	return 0;
}
