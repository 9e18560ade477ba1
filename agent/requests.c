/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What others ask at the agent's socket. An ADD that needs a block waits: the next reconciliation
 * plans for it, and it is answered when there is a free address, when nothing can be had, or when
 * its time is over.
 */
#include "agent/requests.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/agent_impl.h"
#include "lib/boot.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/text.h"

#define WAIT_MS 7000 /* an ADD that asks for a block waits for so long */

/* The plugin sends the folder as its configuration spells it. */
static int find_state_dir(const struct agent *a, const char *path)
{
	for (size_t i = 0; i < a->states.n_dirs; i++) {
		struct stat ours;
		struct stat theirs;
		if (stat(a->states.dirs[i].path, &ours) == 0 && stat(path, &theirs) == 0 &&
			ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino)
			return (int)i;
	}
	return -1;
}

/* The pools that the pod may use; without a list any. */
static int read_pools(const json_t *request, struct cidr **out, size_t *n, struct err *e)
{
	json_t *list = NULL;
	const json_t *item;
	size_t i;
	int r = json_get_array(request, "", "pools", &list, e);
	if (r <= 0)
		return r;
	size_t count = json_array_size(list);
	if (count == 0 || count > POOL_MAX)
		return err_set(e, EINVAL, "pools names none, or more than %d", POOL_MAX);
	CLEANUP_FREE struct cidr *pools = mem_new(count, sizeof(*pools));
	json_array_foreach (list, i, item) {
		const char *text = json_string_value(item);
		if (cidr_parse(text ? text : "", &pools[i], e) < 0)
			return err_set(e, EINVAL, "pools has something that is no network");
	}
	*n = count;
	*out = pools;
	pools = NULL;
	return 0;
}

static int read_waiter(
	const struct agent *a, const json_t *request, struct agent_waiter *out, struct err *e)
{
	const char *dir = NULL;
	const char *family = NULL;
	int64_t now = boot_now_ms();
	struct agent_waiter waiter = {.since_ms = now, .until_ms = now + WAIT_MS};
	int r = json_get_string(request, "", "stateDir", &dir, e);
	if (r >= 0)
		r = json_get_string(request, "", "family", &family, e);
	if (r < 0)
		return r;
	int index = dir ? find_state_dir(a, dir) : -1;
	if (index < 0)
		return err_set(e, EINVAL, "this agent does not look after state folder %.200s",
			dir ? dir : "(none)");
	if (!family || (strcmp(family, "ipv4") != 0 && strcmp(family, "ipv6") != 0))
		return err_set(e, EINVAL, "family is neither ipv4 nor ipv6");
	r = read_pools(request, &waiter.pools, &waiter.ask.n_pools, e);
	if (r < 0)
		return r;
	waiter.ask.dir = (size_t)index;
	waiter.ask.family = strcmp(family, "ipv6") == 0 ? IPV6 : IPV4;
	waiter.ask.pools = waiter.pools;
	*out = waiter;
	return 0;
}

static int add_waiter(struct agent *a, uint64_t id, const json_t *request, struct err *e)
{
	struct agent_waiter waiter = {0};
	if (a->n_waiters == AGENT_WAITERS)
		return err_set(e, EAGAIN, "too many calls wait for a block");
	int r = read_waiter(a, request, &waiter, e);
	if (r < 0)
		return r;
	waiter.id = id;
	a->waiters[a->n_waiters++] = waiter;
	agent_want_reconcile(a, AGENT_AT_ONCE);
	return 0;
}

/* Why a waiter gets nothing; 0: it waits. */
static int waiter_refusal(const struct agent *a, const struct agent_waiter *waiter, struct err *e)
{
	const char *trouble = store_trouble(a->store, NULL);
	if (*a->member.waits)
		return err_set(e, EAGAIN, "%s", a->member.waits);
	if (trouble)
		return err_set(e, EAGAIN, "no further block can be claimed: %s", trouble);
	if (*a->commit_trouble && a->commit_failed_ms > waiter->since_ms)
		return err_set(e, EAGAIN,
			"no further block can be claimed, as the cluster store takes no changes: "
			"%s",
			a->commit_trouble);
	if (*a->disk_trouble)
		return err_set(e, EAGAIN, "no further block can be used: %s", a->disk_trouble);
	if (a->loss.holds && *a->loss.why)
		return err_set(e, EAGAIN, "%s", a->loss.why);
	if (!a->has_reconciled)
		return boot_now_ms() < waiter->until_ms
			       ? 0
			       : err_set(e, EAGAIN, "the agent has not read the cluster store yet");
	if (*waiter->answer.why_not) {
		int r = err_set(e, EAGAIN, "%s", waiter->answer.why_not);
		err_details(e, "add a pool (roostctl apply), or free addresses; roostctl ipam "
			       "show --cluster says who has them");
		return r;
	}
	if (boot_now_ms() >= waiter->until_ms)
		return err_set(e, EAGAIN, "no block could be claimed in time");
	return 0;
}

/* An operator says that the store is right as it is. */
static void accept_store(struct agent *a, uint64_t id)
{
	struct err e;
	if (!a->loss.holds) {
		int r = err_set(&e, EINVAL, "this agent uses its store: nothing waits for that");
		server_refuse(a->server, id, r, &e);
		return;
	}
	log_warning("the store is used as it is, as an operator said: %s", a->loss.why);
	a->loss.accepted = true;
	agent_want_reconcile(a, AGENT_AT_ONCE);
	server_answer(a->server, id, json_pack("{s:b}", "ok", 1));
}

static void answer_policy(struct agent *a, uint64_t id, const json_t *request)
{
	struct err e;
	json_t *answer = NULL;
	int r = enforce_answer(a->policies.enforce, request, &answer, &e);
	if (r < 0)
		server_refuse(a->server, id, r, &e);
	else
		server_answer(a->server, id, answer);
}

static bool is_of_policy(const char *op)
{
	static const char *const ops[] = {
		"policy", "policy-counters", "policy-denied", "policy-explain"};
	return TEXT_INDEX(op, ops) >= 0;
}

void handle_request(struct agent *a, uint64_t id, const json_t *request)
{
	struct err e;
	const char *op = json_string_value(json_object_get(request, "op"));
	if (op && strcmp(op, "status") == 0) {
		server_answer(a->server, id, report_status(a));
	} else if (op && strcmp(op, "sync") == 0) {
		a->slow_at = boot_now_ms();
		agent_want_reconcile(a, AGENT_AT_ONCE);
		server_answer(a->server, id, json_pack("{s:b}", "ok", 1));
	} else if (op && strcmp(op, "accept-store") == 0) {
		accept_store(a, id);
	} else if (op && strcmp(op, "block") == 0) {
		int r = add_waiter(a, id, request, &e);
		if (r < 0)
			server_refuse(a->server, id, r, &e);
	} else if (op && is_of_policy(op)) {
		answer_policy(a, id, request);
	} else {
		(void)err_set(&e, EINVAL,
			"op is none of accept-store, block, policy, policy-counters, "
			"policy-denied, policy-explain, status, sync");
		server_refuse(a->server, id, -EINVAL, &e);
	}
}

void answer_waiters(struct agent *a)
{
	if (a->reconcile_at && a->reconcile_at <= boot_now_ms())
		return; /* the next reconciliation knows more */
	for (size_t i = a->n_waiters; i-- > 0;) {
		const struct agent_waiter *waiter = &a->waiters[i];
		struct err e;
		if (!waiter->seen)
			continue; /* reconciliation waits for the rest after a long one */
		bool has_free = waiter->answer.free > 0;
		int r = has_free ? 0 : waiter_refusal(a, waiter, &e);
		if (!has_free && r == 0)
			continue;
		if (has_free)
			server_answer(a->server, waiter->id, json_pack("{s:b}", "ok", 1));
		else
			server_refuse(a->server, waiter->id, r, &e);
		free(waiter->pools);
		a->waiters[i] = a->waiters[--a->n_waiters];
	}
}
