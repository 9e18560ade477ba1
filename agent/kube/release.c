/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ADD or DEL of the pod holds its lock, so what is released here is nobody's business at that moment.
 * Records of other main plugins are left out by node_states_names(): the kernel does not show whether
 * their pods live.
 */
#include "agent/kube/release.h"

#include <stdlib.h>
#include <string.h>

#include "agent/node_states_pods.h"
#include "ipam/node.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/owned.h"
#include "lib/search.h"

/* One record for each owner, as the names are sorted by it. */
static size_t list_records(const struct node_states_name *names, size_t n,
	const struct owned *kernel, struct leaks_record *out, size_t *first)
{
	size_t count = 0;
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && hash_equal(&names[i].owner, &names[i - 1].owner))
			continue;
		first[count] = i;
		out[count++] = (struct leaks_record){
			.owner = names[i].owner,
			.pod = names[i].pod,
			.has_link = owned_find(kernel, &names[i].owner) != NULL,
		};
	}
	return count;
}

static bool has_newborn(const struct owned *kernel, const struct hash *owner)
{
	for (size_t i = 0; i < kernel->n_newborns; i++)
		if (owned_is_newborn_of(&kernel->newborns[i], owner))
			return true;
	return false;
}

/* Under the pod's lock: 1 its addresses are released, 0 it lives after all. */
static int release_alone(
	struct node *state, struct net *net, const struct hash *owner, struct err *e)
{
	struct owned kernel = {0};
	int r = owned_list(net, &kernel, e);
	if (r < 0)
		return r;
	bool lives = owned_find(&kernel, owner) || has_newborn(&kernel, owner);
	owned_done(&kernel);
	return lives ? 0 : node_release(state, owner, 1, e);
}

static void release(struct node_states *s, struct net *net, const struct node_states_name *name)
{
	struct node *state = NULL;
	struct node_leases leases;
	struct err e;
	int r = node_states_lock_pod(s, name->dir, &name->owner, &state, &leases, &e);
	if (r > 0) {
		r = release_alone(state, net, &name->owner, &e);
		node_close(state);
	}
	if (r < 0)
		log_warning("the address of pod %s, which is gone, is not released: %s", name->pod,
			e.text);
	else if (r > 0)
		log_warning("pod %s is gone from Kubernetes and has no link any more: %d of "
			    "its addresses released, %s among them",
			name->pod, r, ADDR_STRING(&name->addr));
}

static bool is_any_missing(
	const struct roster *pods, const struct node_states_name *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!roster_find(pods, names[i].pod))
			return true;
	return false;
}

void release_leaks(struct leaks *l, const struct roster *pods, struct node_states *s,
	struct net *net, const struct leaks_when *when)
{
	struct node_states_name *names = NULL;
	struct owned kernel = {0};
	struct err e;
	size_t n = 0;
	node_states_names(s, &names, &n);
	/* The kernel is asked only when there is a question; what it does not answer, pods_look() says. */
	if (!is_any_missing(pods, names, n) || owned_list(net, &kernel, &e) < 0) {
		leaks_done(l);
		free(names);
		return;
	}
	struct leaks_record *records = mem_new(n + 1, sizeof(*records));
	size_t *first = mem_new(n + 1, sizeof(*first));
	bool *is_due = mem_new(n + 1, sizeof(*is_due));
	size_t count = list_records(names, n, &kernel, records, first);
	(void)leaks_judge(l, pods, records, count, when, is_due);
	for (size_t i = 0; i < count; i++)
		if (is_due[i])
			release(s, net, &names[first[i]]);
	free(is_due);
	free(first);
	free(records);
	free(names);
	owned_done(&kernel);
}
