/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A walk through the policies of the pod's namespace and those of all, in their order, tier after tier. In a tier the first rule
 * that matches decides: allow and deny for good, pass ends the tier. A tier of which a policy selects the pod in
 * this direction, and no rule matches, ends with its own action. Behind the last tier: allowed.
 *
 * Kubernetes' NetworkPolicy needs nothing of its own but two sentences of its documentation: a pod reaches itself,
 * and it reaches its own node (see policy/judge.h). Staged policies are walked through for the trail, and decide
 * only when they are asked to; then they stand in for the policy of their name.
 *
 * The trail is made along the way by those lines that decide, so it cannot tell another story.
 */
#include "policy/judge.h"

#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "policy/match.h"

static const char *const direction_names[POLICY_DIRECTIONS] = {"ingress", "egress"};

struct judgement {
	struct policy_view view;
	bool with_staged, is_hairpin;
	struct policy_trail *trail;	 /* NULL: nobody reads it */
	const char *tier;		 /* that of the policies at hand */
	bool is_tier_told, is_tier_over; /* in the trail; by a rule that passes */
	const struct policy *first;	 /* of those in the tier that select the pod */
	size_t n_selecting;
	enum policy_action verdict;
	const struct policy *by;
};

/* A step of the trail; what text holds is taken. */
static void judge_say(struct judgement *j, enum policy_step_kind kind, const struct policy *p,
	int rule, struct text *text)
{
	struct policy_trail *t = j->trail;
	t->v = mem_grow(t->v, &t->room, t->n, sizeof(*t->v));
	t->v[t->n++] = (struct policy_step){.kind = kind,
		.direction = j->view.direction,
		.policy = p,
		.rule = rule,
		.staged = p && p->staged && !j->with_staged,
		.text = text_take(text)};
}

void policy_trail_done(struct policy_trail *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->v[i].text);
	free(t->v);
	*t = (struct policy_trail){0};
}

static const char *action_name(enum policy_action a)
{
	static const char *const names[] = {"allow", "deny", "pass", "log"};
	return names[a];
}

static void say_rule(struct text *t, const struct judgement *j, const struct policy *p, int rule)
{
	enum policy_direction d = j->view.direction;
	text_add(t, "%s[%d]", direction_names[d], rule);
	if (p->rules[d][rule].name[0])
		text_add(t, " \"%s\"", p->rules[d][rule].name);
}

/* The tier itself, as the world describes it. */
static const struct policy_tier *judge_tier(const struct judgement *j)
{
	size_t n;
	const struct policy_tier *tiers = policy_world_tiers(j->view.w, &n);
	size_t i = 0;
	while (i < n && strcmp(tiers[i].name, j->tier) != 0)
		i++;
	return i < n ? &tiers[i] : NULL;
}

static void tell_tier(struct judgement *j)
{
	if (j->is_tier_told)
		return;
	j->is_tier_told = true;
	struct text t = {0};
	text_add(&t, "tier %s", j->tier);
	if (judge_tier(j)->order == POLICY_ORDER_LAST)
		text_add(&t, ", the last one, as no Tier of this name exists");
	judge_say(j, POLICY_STEP_TIER, NULL, -1, &t);
}

static void tell_policy(struct judgement *j, const struct policy *p)
{
	tell_tier(j);
	struct text t = {0};
	text_add(&t, "%s selects %s/%s", POLICY_STRING(p), j->view.pod->namespace,
		j->view.pod->name);
	if (p->staged)
		text_add(&t, j->with_staged ? "; it is staged, and taken as enforced here"
					    : "; it is staged, and decides nothing");
	if (!p->n_rules[j->view.direction])
		text_add(&t, "; it has no %s rules", direction_names[j->view.direction]);
	judge_say(j, POLICY_STEP_POLICY, p, -1, &t);
}

static void tell_rule(struct judgement *j, const struct policy *p, int rule, struct text *why)
{
	struct text t = {0};
	say_rule(&t, j, p, rule);
	if (why)
		text_add(&t, ": %s", why->buf ? why->buf : "");
	else
		text_add(&t, " matches: %s", action_name(p->rules[j->view.direction][rule].action));
	judge_say(j, why ? POLICY_STEP_MISS : POLICY_STEP_MATCH, p, rule, &t);
}

/* The first rule that decides; -1: none. */
static int judge_rules(struct judgement *j, const struct policy *p)
{
	const struct policy_rule *rules = p->rules[j->view.direction];
	for (int i = 0; i < (int)p->n_rules[j->view.direction]; i++) {
		struct text CLEANUP_TEXT why = {0};
		bool matches = policy_rule_matches(&j->view, &rules[i], j->trail ? &why : NULL);
		if (j->trail)
			tell_rule(j, p, i, matches ? NULL : &why);
		if (matches && rules[i].action != POLICY_LOG)
			return i;
	}
	return -1;
}

/* The verdict's sentence; rule -1: none decided. */
static void tell_verdict(struct judgement *j, const struct policy *p, int rule)
{
	if (!j->trail)
		return;
	struct text t = {0};
	text_add(&t, "%s by %s", j->verdict == POLICY_ALLOW ? "allowed" : "denied",
		POLICY_STRING(p));
	if (rule >= 0) {
		text_add(&t, ", ");
		say_rule(&t, j, p, rule);
	} else {
		text_add(&t, ": a pod reaches itself");
	}
	judge_say(j, POLICY_STEP_VERDICT, p, rule, &t);
}

/* Whether a policy is one of those that are judged by here. */
static bool is_in_question(const struct judgement *j, const struct policy *p)
{
	if (!p->applies[j->view.direction] || (p->staged && !j->with_staged && !j->trail))
		return false;
	return !(p->kind == POLICY_NETWORK && j->view.flow->to_node &&
		 j->view.direction == POLICY_EGRESS);
}

/* A staged policy that stands in for this one. */
static bool is_replaced(const struct judgement *j, const struct policy *p)
{
	if (!j->with_staged || p->staged)
		return false;
	size_t n;
	const struct policy *const *all = policy_world_policies(j->view.w, &n);
	for (size_t i = 0; i < n; i++) {
		if (all[i]->staged && all[i]->kind == p->kind &&
			strcmp(all[i]->namespace, p->namespace) == 0 &&
			strcmp(all[i]->name, p->name) == 0)
			return true;
	}
	return false;
}

/* Whether it selects the pod. One that could and does not is worth a line. */
static bool judge_selects(struct judgement *j, const struct policy *p)
{
	const struct policy_pod *pod = j->view.pod;
	struct text CLEANUP_TEXT why = {0};
	if (policy_selects_pod(j->view.w, p, pod, j->trail ? &why : NULL))
		return true;
	if (!j->trail)
		return false;
	tell_tier(j);
	struct text t = {0};
	text_add(&t, "%s does not select it: %s", POLICY_STRING(p), why.buf ? why.buf : "");
	judge_say(j, POLICY_STEP_MISS, p, -1, &t);
	return false;
}

/* true: that is the verdict. */
static bool judge_policy(struct judgement *j, const struct policy *p)
{
	if (!is_in_question(j, p) || is_replaced(j, p) || !judge_selects(j, p))
		return false;
	if (j->trail)
		tell_policy(j, p);
	bool counts = !p->staged || j->with_staged;
	if (counts && !j->n_selecting++)
		j->first = p;
	bool is_self = j->is_hairpin && p->kind == POLICY_NETWORK;
	int rule = is_self ? -1 : judge_rules(j, p);
	if (!counts || (rule < 0 && !is_self))
		return false;
	enum policy_action action =
		is_self ? POLICY_ALLOW : p->rules[j->view.direction][rule].action;
	if (action == POLICY_PASS) {
		j->is_tier_over = true;
		return false;
	}
	j->verdict = action;
	j->by = p;
	tell_verdict(j, p, rule);
	return true;
}

static void tell_end(struct judgement *j, const struct policy_tier *tier)
{
	struct text t = {0};
	text_add(&t, "%s tier %s: %s",
		j->is_tier_over ? "a rule passes; end of" : "no rule matches in", j->tier,
		j->is_tier_over || tier->end != POLICY_DENY ? "the next tier" : "deny");
	judge_say(j, POLICY_STEP_END, NULL, -1, &t);
	if (j->is_tier_over || tier->end != POLICY_DENY)
		return;
	text_add(&t, "denied: isolated for %s by %s", direction_names[j->view.direction],
		POLICY_STRING(j->first));
	if (j->n_selecting > 1)
		text_add(&t, " and %zu more", j->n_selecting - 1);
	text_add(&t, ", and no rule allows ");
	policy_say_flow(&t, j->view.flow);
	text_add(&t, j->view.direction == POLICY_INGRESS ? " from " : " to ");
	policy_say_end(&t, j->view.peer, policy_view_other(&j->view));
	judge_say(j, POLICY_STEP_VERDICT, NULL, -1, &t);
}

/* The end of the tier at hand, if there is one. true: it denies. */
static bool judge_end_of_tier(struct judgement *j)
{
	if (!j->tier || !j->n_selecting)
		return false;
	const struct policy_tier *tier = judge_tier(j);
	if (j->trail)
		tell_end(j, tier);
	if (j->is_tier_over || tier->end != POLICY_DENY)
		return false;
	j->verdict = POLICY_DENY;
	return true;
}

static void judge_tier_begins(struct judgement *j, const char *name)
{
	j->tier = name;
	j->is_tier_told = j->is_tier_over = false;
	j->first = NULL;
	j->n_selecting = 0;
}

/* true: there is a verdict; false: nothing speaks against it. */
static bool judge_tiers(struct judgement *j, bool *is_selected)
{
	size_t n;
	const struct policy *const *all =
		policy_world_policies_of(j->view.w, j->view.pod->namespace, &n);
	for (size_t i = 0; i < n; i++) {
		if (!j->tier || strcmp(j->tier, all[i]->tier) != 0) {
			if (judge_end_of_tier(j))
				return true;
			judge_tier_begins(j, all[i]->tier);
		}
		if (!j->is_tier_over && judge_policy(j, all[i]))
			return true;
		*is_selected |= j->n_selecting > 0;
	}
	return judge_end_of_tier(j);
}

/* Why nothing is asked of policies; NULL: they are asked. */
static const char *judge_exemption(const struct policy_question *q)
{
	if (!q->pod)
		return "no pod of the cluster, so no policy judges it";
	if (q->pod->on_host)
		return "on its host's network, where no policy judges it";
	if (q->direction == POLICY_INGRESS && q->flow->from_node)
		return "what its own node sends is always let in";
	return NULL;
}

static void tell_allowed(struct judgement *j, const struct policy_pod *pod, const char *because)
{
	struct text t = {0};
	text_add(&t, "allowed: ");
	policy_say_end(&t, pod, policy_view_own(&j->view));
	text_add(&t, ": %s", because);
	judge_say(j, POLICY_STEP_VERDICT, NULL, -1, &t);
}

enum policy_action policy_judge(const struct policy_world *w, const struct policy_question *q,
	const struct policy **by, struct policy_trail *trail)
{
	struct judgement j = {
		.view = {.w = w, .flow = q->flow, .direction = q->direction, .pod = q->pod},
		.with_staged = q->with_staged,
		.trail = trail,
		.verdict = POLICY_ALLOW};
	const char *because = judge_exemption(q);
	if (!because) {
		j.view.peer = policy_world_owner(w, policy_view_other(&j.view));
		j.is_hairpin = j.view.peer == q->pod;
		bool is_selected = false;
		if (!judge_tiers(&j, &is_selected))
			because = is_selected
					  ? "no tier denies it"
					  : (q->direction == POLICY_INGRESS
							    ? "no policy selects it for ingress"
							    : "no policy selects it for egress");
	}
	if (because && trail)
		tell_allowed(&j, q->pod, because);
	if (by)
		*by = j.by;
	return j.verdict;
}

enum policy_action policy_judge_flow(const struct policy_world *w, const struct policy_flow *flow,
	bool with_staged, struct policy_trail *trail)
{
	struct policy_question q = {.flow = flow,
		.direction = POLICY_EGRESS,
		.pod = policy_world_owner(w, &flow->source),
		.with_staged = with_staged};
	enum policy_action egress = policy_judge(w, &q, NULL, trail);
	if (egress == POLICY_DENY && !trail)
		return egress;
	q.direction = POLICY_INGRESS;
	q.pod = policy_world_owner(w, &flow->destination);
	enum policy_action ingress = policy_judge(w, &q, NULL, trail);
	return egress == POLICY_DENY ? egress : ingress;
}

bool policy_selects(
	const struct policy_world *w, const struct policy *p, const struct policy_pod *pod)
{
	return policy_selects_pod(w, p, pod, NULL);
}
