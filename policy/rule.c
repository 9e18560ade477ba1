/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/rule.h"

#include <stdlib.h>

void policy_end_done(struct policy_end *e)
{
	policy_selector_unref(e->namespaces);
	policy_selector_unref(e->pods);
	policy_selector_unref(e->not_pods);
	policy_selector_unref(e->accounts);
	for (size_t i = 0; i < e->n_account_names; i++)
		free(e->account_names[i]);
	free(e->account_names);
	for (size_t i = 0; i < e->n_nets; i++)
		free(e->nets[i].excepts);
	free(e->nets);
	free(e->not_nets);
	*e = (struct policy_end){0};
}

void policy_rule_done(struct policy_rule *r)
{
	for (size_t i = 0; i < r->n_peers; i++)
		policy_end_done(&r->peers[i]);
	free(r->peers);
	policy_end_done(&r->self);
	free(r->ports);
	free(r->not_ports);
	free(r->sources);
	free(r->not_sources);
	*r = (struct policy_rule){0};
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	policy_selector_unref(p->namespaces);
	policy_selector_unref(p->pods);
	policy_selector_unref(p->accounts);
	for (int d = 0; d < POLICY_DIRECTIONS; d++) {
		for (size_t i = 0; i < p->n_rules[d]; i++)
			policy_rule_done(&p->rules[d][i]);
		free(p->rules[d]);
	}
	free(p->problems);
	free(p);
}
