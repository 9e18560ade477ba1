/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods are compared in all that policies look at.
 */
#include "agent/policy/enforce_node.h"

#include <stdlib.h>
#include <string.h>

void enforce_node_done(struct enforce_node *n)
{
	for (size_t i = 0; i < n->n_locals; i++)
		free(n->owners[i].labels);
	free(n->owners);
	free(n->locals);
	free(n->addrs);
	*n = (struct enforce_node){0};
}

static bool is_same_local(const struct policy_local *a, const struct policy_local *b)
{
	bool same = a->link == b->link && a->n_addrs == b->n_addrs &&
		    strcmp(a->namespace, b->namespace) == 0 && strcmp(a->name, b->name) == 0 &&
		    strcmp(a->uid, b->uid) == 0;
	for (size_t i = 0; same && i < a->n_addrs; i++)
		same = addr_equal(&a->addrs[i], &b->addrs[i]);
	return same;
}

static bool is_same_owner(const struct enforce_owner *a, const struct enforce_owner *b)
{
	if (!a->labels || !b->labels)
		return a->labels == b->labels;
	return strcmp(a->labels, b->labels) == 0;
}

bool enforce_node_same_pods(const struct enforce_node *a, const struct enforce_node *b)
{
	bool same = a->n_locals == b->n_locals;
	for (size_t i = 0; same && i < a->n_locals; i++)
		same = is_same_local(&a->locals[i], &b->locals[i]) &&
		       is_same_owner(&a->owners[i], &b->owners[i]);
	return same;
}
