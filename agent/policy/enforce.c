/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events change the world and make it due; a turn compiles it once, however many events came, and hands the
 * difference to the kernel. Three things keep what stands in the kernel right when something is missing:
 *
 * - Nothing is written before every list that matters was told to its end. Until then the rules of an earlier
 *   agent stand, and pods that they do not know are closed by their link's group, or as open as they were.
 * - What the node state says (which namespaces are closed) is told before the rules are written.
 * - A batch that the kernel refused leaves what was, and is tried again, with a growing pause.
 *
 * Connections are looked at behind each batch after which something may be forbidden, and every half minute
 * while there are rules: what a look missed, and what is allowed again, is found then at the latest.
 */
#include "agent/policy/enforce.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/policy/answers.h"
#include "agent/policy/cut.h"
#include "agent/policy/denials.h"
#include "agent/policy/documents.h"
#include "agent/policy/endpoints.h"
#include "agent/policy/sources.h"
#include "agent/policy/writer.h"
#include "lib/boot.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "lib/wait.h"

#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 5000
#define SLOW_MS 30000 /* connections are looked at anew */

struct enforce {
	const struct agent_conf *conf;
	struct policy_world *world;
	struct policy_compiler *compiler;
	struct sources *sources;
	struct documents *documents;
	struct endpoints *endpoints; /* NULL: Kubernetes tells of pods */
	struct policy_writer *writer;
	struct policy_cut *cut;	 /* NULL: this kernel cannot */
	struct denials *denials; /* the same */
	char cannot[2][200];	 /* why; "" */
	struct wait wait;
	struct enforce_node node;

	struct policy_ruleset rules; /* as compiled last */
	struct node_policy gates;    /* as compiled last; its arrays are heap */
	bool gates_told, waits;	     /* waits: of rules, for the kernel */
	bool may_forbid;	     /* by rules that wait */
	bool due;		     /* to be compiled */
	bool is_made;		     /* the kernel is as the rules were once since it started */
	uint64_t due_since_ns;	     /* the first event that is not in force; 0: all are */
	int64_t retry_at, retry_ms, slow_at;
	bool looks, look_failed; /* at connections */
	char trouble[256];	 /* why the kernel does not hold the rules; "" it does */

	uint64_t turns, last_us, worst_us; /* batches, and from their first event to the kernel */
};

/* ---- Opening ---- */

static void set_writer(struct enforce *f)
{
	const struct agent_conf_policy *c = &f->conf->policy;
	policy_writer_set(f->writer, &(struct policy_writer_settings){
					     .cut_mark = c->cuts && f->cut ? c->cut_mark : 0,
					     .log = c->logs_denied && f->denials,
					     .tunnel_ports = {f->conf->vxlan_port},
					     .ipip = f->node.tunnels_ipip,
				     });
}

/* What this kernel may lack is not what policies need. */
static void open_extras(struct enforce *f)
{
	struct err e;
	if (policy_cut_open(f->conf->policy.cut_mark, &f->cut, &e) < 0) {
		f->cut = NULL;
		(void)text_copy(f->cannot[0], sizeof(f->cannot[0]), e.text);
	}
	if (denials_open(&f->denials, &e) < 0) {
		f->denials = NULL;
		(void)text_copy(f->cannot[1], sizeof(f->cannot[1]), e.text);
	}
}

int enforce_open(struct enforce **out, const struct agent_conf *c, struct err *e)
{
	struct enforce *f = mem_new(1, sizeof(*f));
	f->conf = c;
	f->wait = (struct wait)WAIT_CLOSED;
	f->world = policy_world_new();
	f->compiler = policy_compiler_new(f->world);
	f->sources = sources_new(f->world);
	f->documents = documents_new(f->world);
	if (!*c->kubernetes)
		f->endpoints = endpoints_new(f->world, c->node);
	f->due = true;
	int r = wait_open(&f->wait, e);
	if (r >= 0)
		r = policy_writer_open(&f->writer, e);
	if (r >= 0)
		r = wait_add(&f->wait, policy_writer_fd(f->writer), EPOLLIN, 0, e);
	if (r >= 0)
		open_extras(f);
	if (r >= 0 && f->denials)
		r = wait_add(&f->wait, denials_fd(f->denials), EPOLLIN, 0, e);
	if (r < 0) {
		enforce_close(f);
		return r;
	}
	set_writer(f);
	*out = f;
	return 0;
}

static void forget_gates(struct enforce *f)
{
	free((void *)f->gates.closed);
	free((void *)f->gates.staged);
	f->gates = (struct node_policy){0};
}

void enforce_close(struct enforce *f)
{
	if (!f)
		return;
	denials_close(f->denials);
	policy_cut_close(f->cut);
	policy_writer_close(f->writer);
	policy_ruleset_done(&f->rules);
	forget_gates(f);
	documents_free(f->documents);
	endpoints_free(f->endpoints);
	sources_free(f->sources);
	policy_compiler_free(f->compiler);
	policy_world_free(f->world);
	wait_close(&f->wait);
	enforce_node_done(&f->node);
	free(f);
}

int enforce_fd(const struct enforce *f)
{
	return wait_fd(&f->wait);
}

/* ---- What happened ---- */

static void note_event(struct enforce *f)
{
	f->due = true;
	if (!f->due_since_ns)
		f->due_since_ns = boot_now_ns();
}

void enforce_reload(struct enforce *f)
{
	note_event(f);
	set_writer(f);
	if (f->cut) {
		policy_cut_begin(f->cut, !f->conf->policy.cuts);
		f->looks = true;
	}
}

bool enforce_take_kube(struct enforce *f, const struct kube_event *ev)
{
	bool changed = false;
	if (f->denials && denials_take(f->denials, ev))
		return true;
	bool ours = sources_take(f->sources, ev, &changed);
	if (changed)
		note_event(f);
	return ours;
}

bool enforce_take_store(struct enforce *f, const struct store_event *ev)
{
	bool changed = false;
	bool ours = f->endpoints && endpoints_take(f->endpoints, ev, &changed);
	if (changed)
		note_event(f);
	return ours;
}

bool enforce_take_resource(struct enforce *f, const struct store_event *ev)
{
	bool changed = false;
	bool ours = documents_take(f->documents, ev, &changed);
	if (changed)
		note_event(f);
	return ours;
}

void enforce_trust_store(struct enforce *f)
{
	if (documents_trust(f->documents))
		note_event(f);
}

void enforce_set_node(struct enforce *f, struct enforce_node *n)
{
	bool same = enforce_node_same_pods(&f->node, n);
	bool ipip = f->node.tunnels_ipip != n->tunnels_ipip;
	enforce_node_done(&f->node);
	f->node = *n;
	*n = (struct enforce_node){0};
	if (ipip)
		set_writer(f);
	if (!same && f->endpoints)
		(void)endpoints_set_node(f->endpoints, &f->node);
	if (!same || ipip)
		note_event(f);
}

/* ---- The rules as they shall be ---- */

static bool is_told(const struct enforce *f)
{
	if (!documents_are_told(f->documents))
		return false;
	return f->endpoints ? endpoints_are_told(f->endpoints) : sources_are_told(f->sources);
}

static bool is_local(const struct enforce *f, const struct policy_pod *p)
{
	for (size_t i = 0; i < f->node.n_locals; i++) {
		const struct policy_local *l = &f->node.locals[i];
		bool named =
			strcmp(l->name, p->name) == 0 && strcmp(l->namespace, p->namespace) == 0;
		if (named && (!*l->uid || strcmp(l->uid, p->uid) == 0))
			return true;
	}
	return false;
}

/* Pods that have links, then those that will have one. The caller's. */
static struct policy_local *list_locals(const struct enforce *f, size_t *count)
{
	size_t n_pods, n = f->node.n_locals;
	const struct policy_pod *const *pods = policy_world_pods(f->world, &n_pods);
	size_t room = n + 1;
	struct policy_local *v = mem_new(room, sizeof(*v));
	if (n)
		memcpy(v, f->node.locals, n * sizeof(*v));
	for (size_t i = 0; i < n_pods; i++) {
		const struct policy_pod *p = pods[i];
		if (strcmp(p->node, f->conf->node) != 0 || p->on_host || p->is_over || !*p->uid ||
			is_local(f, p))
			continue;
		v = mem_grow(v, &room, n, sizeof(*v));
		v[n] = (struct policy_local){0};
		(void)text_copy(v[n].namespace, sizeof(v[n].namespace), p->namespace);
		(void)text_copy(v[n].name, sizeof(v[n].name), p->name);
		(void)text_copy(v[n].uid, sizeof(v[n].uid), p->uid);
		n++;
	}
	*count = n;
	return v;
}

/* Which namespaces are closed, as the node state keeps it. */
static struct node_closed *list_closed(const struct enforce *f, size_t *count)
{
	CLEANUP_FREE struct policy_closed *from = NULL;
	*count = 0;
	if (f->conf->policy.off || f->conf->policy.opens)
		return NULL;
	size_t n = policy_compiler_closed(f->compiler, &from);
	struct node_closed *to = mem_new(n + 1, sizeof(*to));
	for (size_t i = 0; i < n; i++) {
		(void)text_copy(to[i].namespace, sizeof(to[i].namespace), from[i].namespace);
		to[i].ingress = from[i].ways[POLICY_WAY_IN];
		to[i].egress = from[i].ways[POLICY_WAY_OUT];
		to[i].to_host = from[i].ways[POLICY_WAY_TO_HOST];
	}
	*count = n;
	return to;
}

static struct node_staged *list_staged(const struct enforce *f)
{
	const struct policy_ruleset *r = &f->rules;
	struct node_staged *to = mem_new(r->n_staged + 1, sizeof(*to));
	for (size_t i = 0; i < r->n_staged; i++) {
		const struct policy_staged *s = &r->staged[i];
		(void)text_copy(to[i].uid, sizeof(to[i].uid), s->uid);
		(void)text_copy(to[i].ingress, sizeof(to[i].ingress), s->ingress);
		(void)text_copy(to[i].egress, sizeof(to[i].egress), s->egress);
		(void)text_copy(to[i].to_host, sizeof(to[i].to_host), s->to_host);
	}
	return to;
}

/* Both arrays are zeroed before they are filled, so their bytes compare. */
static bool has_same_gates(const struct node_policy *a, const struct node_policy *b)
{
	return a->n_closed == b->n_closed && a->n_staged == b->n_staged &&
	       (!a->n_closed ||
		       memcmp(a->closed, b->closed, a->n_closed * sizeof(*a->closed)) == 0) &&
	       (!a->n_staged ||
		       memcmp(a->staged, b->staged, a->n_staged * sizeof(*a->staged)) == 0);
}

static void make_gates(struct enforce *f)
{
	struct node_policy now = {.staged = list_staged(f), .n_staged = f->rules.n_staged};
	now.closed = list_closed(f, &now.n_closed);
	if (f->gates_told && has_same_gates(&f->gates, &now)) {
		free((void *)now.closed);
		free((void *)now.staged);
		return;
	}
	forget_gates(f);
	f->gates = now;
	f->gates_told = false;
}

static void compile(struct enforce *f)
{
	size_t n = 0;
	policy_ruleset_done(&f->rules);
	f->rules = (struct policy_ruleset){0};
	if (!f->conf->policy.off) {
		CLEANUP_FREE struct policy_local *locals = list_locals(f, &n);
		policy_compile(f->compiler, locals, n, &f->rules);
		f->may_forbid |= policy_compiler_forbids(f->compiler);
	}
	make_gates(f);
	f->due = false;
	f->waits = true;
}

/* ---- A turn ---- */

static void read_foreign_changes(struct enforce *f)
{
	struct err e;
	int r = policy_writer_read(f->writer, &e);
	if (r < 0)
		log_warning("cannot read what the kernel tells of nf_tables: %s", e.text);
	if (r > 0 && f->is_made)
		f->waits = true;
}

static void tell_denied(struct enforce *f, struct kube *kube, int64_t now_ms)
{
	const struct denials_view view = {.world = f->world,
		.compiler = f->compiler,
		.events = kube && f->conf->policy.events};
	if (!f->denials)
		return;
	denials_read(f->denials, &view, now_ms);
	denials_step(f->denials, kube, f->conf->node, now_ms);
}

static void follow(struct enforce *f, struct kube *kube, struct store *store, int64_t now_ms)
{
	if (f->endpoints)
		endpoints_step(f->endpoints, store, now_ms);
	else if (f->conf->policy.off)
		sources_rest(f->sources, kube);
	else
		sources_follow(f->sources, kube, now_ms);
}

int enforce_plan(struct enforce *f, struct kube *kube, struct store *store, int64_t now_ms)
{
	read_foreign_changes(f);
	tell_denied(f, kube, now_ms);
	follow(f, kube, store, now_ms);
	if (f->due && (f->conf->policy.off || is_told(f)))
		compile(f);
	return f->is_made || f->waits ? !f->gates_told : 0;
}

const struct node_policy *enforce_gates(const struct enforce *f)
{
	return &f->gates;
}

void enforce_gates_told(struct enforce *f)
{
	f->gates_told = true;
}

/* Some policy is staged: what it would deny is found by a look, too. */
static bool has_staged(const struct enforce *f)
{
	size_t n;
	const struct policy *const *v = policy_world_policies(f->world, &n);
	for (size_t i = 0; i < n; i++)
		if (v[i]->staged)
			return true;
	return false;
}

static bool wants_looks(const struct enforce *f)
{
	bool cuts = f->rules.is_used && f->conf->policy.cuts;
	return f->cut && !f->conf->policy.off && (cuts || (f->denials && has_staged(f)));
}

static void begin_look(struct enforce *f, int64_t now_ms)
{
	if (!wants_looks(f))
		return;
	policy_cut_begin(f->cut, !f->conf->policy.cuts);
	f->looks = true;
	f->slow_at = now_ms + SLOW_MS;
}

/* Some may be allowed again by any change. Those that an earlier agent cut are not counted, and wait for the slow
 * look. */
static bool has_cut(const struct enforce *f)
{
	struct policy_cut_numbers n = {0};
	if (f->cut)
		n = policy_cut_numbers(f->cut);
	return n.cut > n.restored;
}

static void note_made(struct enforce *f, int changed, int64_t now_ms)
{
	bool first = !f->is_made;
	f->is_made = true;
	f->waits = false;
	f->retry_ms = f->retry_at = 0;
	f->trouble[0] = '\0';
	if (f->due_since_ns && !f->due) {
		f->last_us = (boot_now_ns() - f->due_since_ns) / 1000;
		f->worst_us = f->last_us > f->worst_us ? f->last_us : f->worst_us;
		f->due_since_ns = 0;
	}
	f->turns += changed > 0;
	if (first || f->may_forbid || (changed && has_cut(f)))
		begin_look(f, now_ms);
	f->may_forbid = false;
}

static void note_refused(struct enforce *f, const struct err *e, int64_t now_ms)
{
	f->retry_ms = f->retry_ms ? 2 * f->retry_ms : RETRY_MIN_MS;
	if (f->retry_ms > RETRY_MAX_MS)
		f->retry_ms = RETRY_MAX_MS;
	f->retry_at = now_ms + f->retry_ms;
	if (!*f->trouble)
		log_warning(
			"network policies are enforced as they were, trying again: %s", e->text);
	(void)text_copy(f->trouble, sizeof(f->trouble), e->text);
}

static void note_staged(struct enforce *f)
{
	const struct policy_cut_staged *v;
	size_t n = policy_cut_staged(f->cut, &v);
	for (size_t i = 0; i < n; i++)
		denials_note_staged(f->denials, f->world, &v[i].flow, v[i].direction);
}

static void look_at_connections(struct enforce *f, int64_t now_ms)
{
	struct err e;
	if (f->slow_at <= now_ms && f->is_made)
		begin_look(f, now_ms);
	if (!f->looks || !f->cut)
		return;
	const struct policy_cut_view view = {
		.world = f->world,
		.locals = f->node.locals,
		.n_locals = f->node.n_locals,
		.node = f->node.addrs,
		.n_node = f->node.n_addrs,
		.stages = f->denials && has_staged(f),
	};
	int r = policy_cut_step(f->cut, &view, &e);
	note_staged(f);
	f->looks = r > 0;
	if (r < 0 && !f->look_failed)
		log_warning("connections cannot be looked at, trying again: %s", e.text);
	f->look_failed = r < 0;
	if (r < 0)
		f->slow_at = now_ms + RETRY_MAX_MS;
}

void enforce_apply(struct enforce *f, int64_t now_ms)
{
	struct err e;
	if (f->waits && f->retry_at <= now_ms) {
		int r = policy_writer_sync(f->writer, &f->rules, &e);
		if (r < 0)
			note_refused(f, &e, now_ms);
		else
			note_made(f, r, now_ms);
	}
	look_at_connections(f, now_ms);
}

int64_t enforce_next(const struct enforce *f)
{
	if (f->looks)
		return 0;
	int64_t at = wants_looks(f) ? f->slow_at : WAIT_NEVER;
	int64_t documents = f->endpoints ? endpoints_next(f->endpoints) : WAIT_NEVER;
	int64_t events = f->denials ? denials_next(f->denials) : WAIT_NEVER;
	if (f->waits && f->retry_at < at)
		at = f->retry_at;
	at = documents < at ? documents : at;
	return events < at ? events : at;
}

const char *enforce_cluster_version(const struct enforce *f)
{
	return f->conf->policy.off ? "" : sources_cluster_version(f->sources);
}

/* ---- For people ---- */

static void list_policies(const struct enforce *f, struct problems *out)
{
	static const char *const kinds[POLICY_KINDS] = {"NetworkPolicy", "ClusterNetworkPolicy",
		"NetworkPolicy (projectcalico.org)", "GlobalNetworkPolicy"};
	size_t n;
	const struct policy *const *v = policy_world_policies(f->world, &n);
	for (size_t i = 0; i < n; i++) {
		const struct policy *p = v[i];
		if (p->problems)
			problems_add(out, "%s %.63s%s%.100s: %.*s", kinds[p->kind], p->namespace,
				*p->namespace ? "/" : "", p->name, (int)strcspn(p->problems, "\n"),
				p->problems);
	}
}

void enforce_list_problems(const struct enforce *f, struct problems *out)
{
	if (f->conf->policy.off)
		return;
	if (*f->trouble)
		problems_add_as(out, "policy rules",
			"network policies are enforced as they were: the kernel does not take the "
			"rules: %s",
			f->trouble);
	if (*f->cannot[0] && f->conf->policy.cuts)
		problems_add_as(out, "policy cut", "connections that policies forbid live on: %s",
			f->cannot[0]);
	if (*f->cannot[1] && f->conf->policy.logs_denied)
		problems_add_as(out, "policy log", "denied packets are not told: %s", f->cannot[1]);
	if (f->endpoints)
		endpoints_list_problems(f->endpoints, out);
	else
		sources_list_problems(f->sources, out);
	documents_list_problems(f->documents, out);
	list_policies(f, out);
}

json_t *enforce_report(struct enforce *f)
{
	size_t n_policies, n_pods;
	(void)policy_world_policies(f->world, &n_policies);
	(void)policy_world_pods(f->world, &n_pods);
	struct policy_writer_numbers w = policy_writer_numbers(f->writer);
	struct policy_cut_numbers c =
		f->cut ? policy_cut_numbers(f->cut) : (struct policy_cut_numbers){0};
	return json_pack("{s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
		"enforced", f->is_made && f->rules.is_used, "current",
		f->is_made && !f->waits && !f->due, "policies", json_of_number(n_policies), "pods",
		json_of_number(n_pods), "local", json_of_number(f->node.n_locals), "staged",
		json_of_number(f->rules.n_staged), "batches", json_of_number(w.batches), "replaced",
		json_of_number(w.replaced), "foreign", json_of_number(w.foreign), "refused",
		json_of_number(w.refused), "lastMicroseconds", json_of_number(f->last_us),
		"worstMicroseconds", json_of_number(f->worst_us), "connectionsCut",
		json_of_number(c.cut), "connectionsRestored", json_of_number(c.restored));
}

static int answer_denied(
	const struct enforce *f, const json_t *request, json_t **answer, struct err *e)
{
	if (!f->denials)
		return err_set(e, EINVAL, "denied packets are not told: %s", f->cannot[1]);
	if (!f->conf->policy.logs_denied)
		return err_set(e, EINVAL, "denied packets are not told here (policy.logDenied)");
	return denials_answer(f->denials, request, answer, e);
}

int enforce_answer(struct enforce *f, const json_t *request, json_t **answer, struct err *e)
{
	const struct answers_view view = {
		.world = f->world,
		.compiler = f->compiler,
		.writer = f->writer,
		.told = is_told(f),
	};
	if (f->conf->policy.off)
		return err_set(
			e, EINVAL, "network policies are not enforced here (policy.enforce)");
	const char *op = json_text_at(request, "op");
	if (strcmp(op, "policy-explain") == 0)
		return answers_explain(&view, request, answer, e);
	if (strcmp(op, "policy-denied") == 0)
		return answer_denied(f, request, answer, e);
	bool is_short = strcmp(op, "policy-counters") == 0;
	*answer = is_short ? answers_counters(&view) : answers_policies(&view);
	return 0;
}
