/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In the usual ADD this is one transaction and no word with anybody: the agent keeps free addresses
 * ahead. Only when there are none is it asked, over its socket, for a block of the family that
 * lacks; its answer comes when the block is in the node state. The time for that is bounded for the
 * whole call, well inside the call's own deadline; between two tries somebody else may have taken
 * what came.
 *
 * Nothing is locked meanwhile that would keep the agent from writing the node state: no transaction
 * is open, and the folder's lock is shared.
 */
#include "plugins/agent_client.h"

#include <errno.h>
#include <sys/socket.h>

#include "ipam/agent_lock.h"
#include "ipam/node_cluster.h"
#include "lib/ask.h"
#include "lib/boot.h"
#include "lib/deadline.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"

#define ASK_MS 8000 /* of a call, all questions together */
#define ASK_TRIES 4
#define MS UINT64_C(1000000) /* in ns */

int agent_client_unknown(const char *dir, struct err *e)
{
	if (agent_lock_is_held(dir)) {
		(void)err_set(e, EAGAIN,
			"the agent has not told this node its pools since boot: it has not read "
			"the cluster store yet");
		err_details(e, "roostctl status says what is wrong with the store");
		return -EAGAIN;
	}
	(void)err_set(e, EAGAIN,
		"the agent has not told this node its pools since boot: is roostd running?");
	err_details(e,
		"the network configuration has no ipam.pools, so they come from roostd, which "
		"must be started with --state-dir %s",
		dir);
	return -EAGAIN;
}

/* The pools that may be used are for the agent to choose from. */
static json_t *block_request(const char *dir, const struct node_want *w, uint8_t family)
{
	json_t *pools = json_array();
	for (size_t i = 0; i < w->n_pools; i++)
		if (node_want_uses(w, i, family))
			json_append(pools, json_of_cidr(&w->pools[i].cidr));
	json_t *request = json_object();
	json_put(request, "op", json_string("block"));
	json_put(request, "stateDir", json_of_text(dir));
	json_put(request, "family", json_string(family == AF_INET ? "ipv4" : "ipv6"));
	json_put(request, "pools", pools);
	return request;
}

/* Asks until there is an address, the agent refuses, or time is up. Returns what node_assign() said
 * last; why is the agent's refusal, else empty. */
static int assign_asking(struct node *n, const char *dir, const struct node_want *w,
	const char *socket, struct node_leases *out, struct err *why)
{
	uint64_t end_ns = boot_now_ns() + ASK_MS * MS;
	int r = -EAGAIN;
	why->text[0] = '\0';
	for (int i = 0; i < ASK_TRIES && r == -EAGAIN; i++) {
		uint64_t now_ns = boot_now_ns();
		if (now_ns + MS >= end_ns)
			break;
		CLEANUP_JSON json_t *request = block_request(dir, w, node_lacking(n));
		CLEANUP_JSON json_t *answer = NULL;
		deadline_doing("asking roostd for a block of addresses");
		int asked =
			ask(socket, request, (unsigned int)((end_ns - now_ns) / MS), &answer, why);
		if (asked < 0)
			return -EAGAIN;
		struct err e;
		deadline_doing("waiting for the node state");
		r = node_assign(n, w, out, &e);
		if (r < 0 && r != -EAGAIN)
			*why = e;
	}
	return r;
}

/* The agent's part of the refusal. */
static void explain_refusal(const struct err *why, bool agent, struct err *e)
{
	const char *advice =
		"a further pool, or a limit of blocks raised, would help; stop pods, or "
		"wait for addresses to be released";
	if (!agent)
		err_details(e,
			"no agent runs on this node, so no block can be claimed: start roostd; "
			"or stop pods");
	else if (why->text[0])
		err_details(e, "roostd gave no block: %.300s; %s", why->text, advice);
	else
		err_details(
			e, "roostd gave blocks, but their addresses were taken at once; try again");
}

int agent_client_assign(struct node *n, const char *dir, struct node_want *w,
	struct node_leases *out, struct err *e)
{
	CLEANUP_FREE struct mirror *m = mem_new(1, sizeof(*m));
	struct err why = {0};
	int r = node_get_mirror(n, m, e);
	if (r < 0)
		return r;
	w->cluster = true;
	w->reserved = m->reserved;
	w->n_reserved = m->n_reserved;
	r = node_assign(n, w, out, e);
	if (r != -EAGAIN)
		return r;
	bool agent = agent_lock_is_held(dir);
	if (agent)
		r = assign_asking(n, dir, w, m->socket, out, &why);
	if (r != -EAGAIN) {
		if (r < 0)
			*e = why;
		return r;
	}
	w->cooling = true;
	r = node_assign(n, w, out, e);
	if (r == -EAGAIN)
		explain_refusal(&why, agent, e);
	else if (r == 0)
		log_warning("took an address that still cools down: %s",
			why.text[0] ? why.text
			: agent	    ? "no block came in time"
				    : "no agent runs that could claim a block");
	return r;
}
