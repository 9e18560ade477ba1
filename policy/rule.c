/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life and the equality of policies as values. Equal ones mean the same: a watch that tells an object anew,
 * with another status or resourceVersion, changes nothing then.
 */
#include "policy/rule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

char *policy_title(const struct policy *p, char out[POLICY_TITLE])
{
	static const char *const kinds[POLICY_KINDS][2] = {
		[POLICY_NETWORK] = {"NetworkPolicy", "StagedKubernetesNetworkPolicy"},
		[POLICY_CLUSTER] = {"ClusterNetworkPolicy", "staged ClusterNetworkPolicy"},
		[POLICY_CALICO] = {"Calico NetworkPolicy", "StagedNetworkPolicy"},
		[POLICY_CALICO_GLOBAL] = {"GlobalNetworkPolicy", "StagedGlobalNetworkPolicy"},
	};
	snprintf(out, POLICY_TITLE, "%s %s%s%s", kinds[p->kind][p->staged], p->namespace,
		p->namespace[0] ? "/" : "", p->name);
	return out;
}

static bool selectors_equal(const struct policy_selector *a, const struct policy_selector *b)
{
	if (!a || !b)
		return a == b;
	return strcmp(policy_selector_text(a), policy_selector_text(b)) == 0;
}

static bool cidrs_equal(const struct cidr *a, size_t n_a, const struct cidr *b, size_t n_b)
{
	for (size_t i = 0; n_a == n_b && i < n_a; i++) {
		if (!cidr_equal(&a[i], &b[i]))
			return false;
	}
	return n_a == n_b;
}

static bool ports_equal(
	const struct policy_port *a, size_t n_a, const struct policy_port *b, size_t n_b)
{
	for (size_t i = 0; n_a == n_b && i < n_a; i++) {
		if (a[i].proto != b[i].proto || a[i].first != b[i].first ||
			a[i].last != b[i].last || strcmp(a[i].name, b[i].name) != 0)
			return false;
	}
	return n_a == n_b;
}

static bool nets_equal(const struct policy_end *a, const struct policy_end *b)
{
	for (size_t i = 0; a->n_nets == b->n_nets && i < a->n_nets; i++) {
		const struct policy_net *x = &a->nets[i];
		const struct policy_net *y = &b->nets[i];
		if (!cidr_equal(&x->net, &y->net) ||
			!cidrs_equal(x->excepts, x->n_excepts, y->excepts, y->n_excepts))
			return false;
	}
	return a->n_nets == b->n_nets &&
	       cidrs_equal(a->not_nets, a->n_not_nets, b->not_nets, b->n_not_nets);
}

static bool account_names_equal(const struct policy_end *a, const struct policy_end *b)
{
	for (size_t i = 0; a->n_account_names == b->n_account_names && i < a->n_account_names;
		i++) {
		if (strcmp(a->account_names[i], b->account_names[i]) != 0)
			return false;
	}
	return a->n_account_names == b->n_account_names;
}

static bool ends_equal(const struct policy_end *a, const struct policy_end *b)
{
	return a->nobody == b->nobody && a->has_sets == b->has_sets &&
	       strcmp(a->own, b->own) == 0 && selectors_equal(a->namespaces, b->namespaces) &&
	       selectors_equal(a->pods, b->pods) && selectors_equal(a->not_pods, b->not_pods) &&
	       selectors_equal(a->accounts, b->accounts) && account_names_equal(a, b) &&
	       nets_equal(a, b);
}

static bool icmp_equal(const struct policy_icmp *a, const struct policy_icmp *b)
{
	return a->type == b->type && a->code == b->code;
}

static bool rules_equal(const struct policy_rule *a, const struct policy_rule *b)
{
	if (a->action != b->action || strcmp(a->name, b->name) != 0 || a->family != b->family ||
		a->proto != b->proto || a->not_proto != b->not_proto ||
		!icmp_equal(&a->icmp, &b->icmp) || !icmp_equal(&a->not_icmp, &b->not_icmp) ||
		!ends_equal(&a->self, &b->self))
		return false;
	for (size_t i = 0; a->n_peers == b->n_peers && i < a->n_peers; i++) {
		if (!ends_equal(&a->peers[i], &b->peers[i]))
			return false;
	}
	return a->n_peers == b->n_peers &&
	       ports_equal(a->ports, a->n_ports, b->ports, b->n_ports) &&
	       ports_equal(a->not_ports, a->n_not_ports, b->not_ports, b->n_not_ports) &&
	       ports_equal(a->sources, a->n_sources, b->sources, b->n_sources) &&
	       ports_equal(a->not_sources, a->n_not_sources, b->not_sources, b->n_not_sources);
}

static bool directions_equal(
	const struct policy *a, const struct policy *b, enum policy_direction d)
{
	if (a->applies[d] != b->applies[d] || a->n_rules[d] != b->n_rules[d])
		return false;
	for (size_t i = 0; i < a->n_rules[d]; i++) {
		if (!rules_equal(&a->rules[d][i], &b->rules[d][i]))
			return false;
	}
	return true;
}

bool policy_equal(const struct policy *a, const struct policy *b)
{
	return a->kind == b->kind && a->staged == b->staged &&
	       strcmp(a->namespace, b->namespace) == 0 && strcmp(a->name, b->name) == 0 &&
	       strcmp(a->uid, b->uid) == 0 && strcmp(a->tier, b->tier) == 0 &&
	       a->order == b->order && selectors_equal(a->namespaces, b->namespaces) &&
	       selectors_equal(a->pods, b->pods) && selectors_equal(a->accounts, b->accounts) &&
	       directions_equal(a, b, POLICY_INGRESS) && directions_equal(a, b, POLICY_EGRESS) &&
	       strcmp(a->problems ? a->problems : "", b->problems ? b->problems : "") == 0;
}
