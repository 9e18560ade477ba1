/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network policy in the agent's loop: what enforce (agent/policy/enforce.h) has to be told of this node, and
 * when. It takes its turn behind every event and before anything slow, so that a policy does not wait for a
 * reconciliation; and it does not mind whether that comes to an end.
 *
 * Pods are looked at when the kernel tells of a link, as soon as that: a pod whose policies are not known is
 * closed until then. A look costs what the node has of pods, so looks rest for a multiple of what they take.
 */
#include "agent/policies.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent_impl.h"
#include "agent/local_pods.h"
#include "agent/policy/gates.h"
#include "lib/boot.h"
#include "lib/log.h"
#include "lib/mem.h"

#define LOOK_REST 3	   /* of its own time, a look rests */
#define LOOK_REST_MAX 500  /* ms */
#define LOOK_SLOW_MS 30000 /* whatever happened */
#define SAVE_MS 1000	   /* what is closed is written so long after a change */
#define PROBLEMS_MS 1000   /* problems are gathered so often */

/* Pods may start before any list of policies has come. */
static void close_as_before(struct agent *a)
{
	CLEANUP_FREE struct node_closed *closed = NULL;
	struct node_policy gates = {0};
	struct err e = {0};
	int r = gates_load(a->conf.data_dir, &a->policies.saved, &e);
	if (r >= 0)
		r = gates_parse(a->policies.saved, &closed, &gates.n_closed, &e);
	gates.closed = closed;
	if (r >= 0 && !a->conf.policy.off && !a->conf.policy.opens)
		r = node_states_put_policy(&a->states, &gates, &e);
	if (r < 0 && r != -ENOENT)
		log_warning(
			"which namespaces network policies closed before is not known: %s", e.text);
}

int policies_open(struct agent *a, struct err *e)
{
	close_as_before(a);
	return enforce_open(&a->policies.enforce, &a->conf, e);
}

void policies_close(struct policies *p)
{
	enforce_close(p->enforce);
	free(p->saved);
	*p = (struct policies){0};
}

void policies_want_look(struct agent *a)
{
	a->policies.look_at = boot_now_ms();
}

static void look_at_node(struct agent *a, int64_t now_ms)
{
	struct policies *p = &a->policies;
	struct enforce_node node;
	struct err e;
	if (now_ms < p->look_at || now_ms < p->rest_until)
		return;
	p->look_at = now_ms + LOOK_SLOW_MS;
	int r = local_pods_list(a->pods.net, &a->states, &node, &e);
	int64_t took = boot_now_ms() - now_ms;
	p->rest_until =
		now_ms + (LOOK_REST * took < LOOK_REST_MAX ? LOOK_REST * took : LOOK_REST_MAX);
	(void)snprintf(p->trouble, sizeof(p->trouble), "%s", r < 0 ? e.text : "");
	if (r < 0)
		return;
	node.tunnels_ipip = tunnel_addresses_count(&a->tunnels, AF_INET) > 0;
	enforce_set_node(a->policies.enforce, &node);
}

static void tell_states(struct agent *a)
{
	struct err e;
	int r = node_states_put_policy(&a->states, enforce_gates(a->policies.enforce), &e);
	if (r >= 0) {
		enforce_gates_told(a->policies.enforce);
		a->policies.save_at = boot_now_ms() + SAVE_MS;
	}
	if (r < 0 && !*a->policies.untold)
		log_warning("network policies do not reach the node state: %s", e.text);
	(void)snprintf(a->policies.untold, sizeof(a->policies.untold), "%s", r < 0 ? e.text : "");
}

/* Behind the rules, and not for each of them: a disk takes its time. */
static void save_gates(struct agent *a, int64_t now_ms)
{
	struct policies *p = &a->policies;
	const struct node_policy *gates = enforce_gates(p->enforce);
	struct err e;
	if (!p->save_at || now_ms < p->save_at)
		return;
	p->save_at = 0;
	char *text = gates_text(gates->closed, gates->n_closed);
	bool same = p->saved && strcmp(text, p->saved) == 0;
	if (!same && gates_save(a->conf.data_dir, text, &e) < 0) {
		log_warning("network policies are not kept over a reboot: %s", e.text);
		free(text);
		p->save_at = now_ms + LOOK_SLOW_MS;
		return;
	}
	free(p->saved);
	p->saved = text;
}

/* Problems come and go without a reconciliation, which shows them. */
static void gather_problems(struct agent *a, int64_t now_ms)
{
	struct policies *p = &a->policies;
	struct problems before = p->problems;
	if (now_ms < p->problems_at)
		return;
	p->problems_at = now_ms + PROBLEMS_MS;
	p->problems = (struct problems){0};
	if (*p->trouble)
		problems_add_as(&p->problems, "policy pods",
			"pods of this node cannot be looked at, so new ones stay closed: %s",
			p->trouble);
	if (*p->untold)
		problems_add_as(&p->problems, "policy state",
			"a pod that starts now is open until the agent has seen it, as network "
			"policies do not reach the node state: %s",
			p->untold);
	enforce_list_problems(a->policies.enforce, &p->problems);
	if (memcmp(&before, &p->problems, sizeof(before)) != 0)
		agent_want_reconcile(a, AGENT_SOON);
}

void policies_step(struct agent *a)
{
	int64_t now = boot_now_ms();
	look_at_node(a, now);
	if (enforce_plan(a->policies.enforce, kubernetes_client(a->kubernetes), a->store, now) > 0)
		tell_states(a);
	enforce_apply(a->policies.enforce, now);
	save_gates(a, now);
	gather_problems(a, now);
}

int64_t policies_next(const struct agent *a)
{
	const struct policies *p = &a->policies;
	int64_t look = p->look_at > p->rest_until ? p->look_at : p->rest_until;
	int64_t turn = enforce_next(a->policies.enforce);
	int64_t next = look < turn ? look : turn;
	return p->save_at && p->save_at < next ? p->save_at : next;
}
