/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies, network sets and tiers among the resources. Agents read them with policy/read.h, and give what they
 * do not understand the safe meaning; here the same reader judges a document, and what would get such a meaning
 * is refused. So nothing is applied that is not enforced as it was written.
 *
 * The name of a resource whose kind has namespaces is NAMESPACE.NAME: a namespace's name has no dot.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/resource_impl.h"
#include "lib/text.h"
#include "policy/read.h"

/* The first problem, "PLACE: SENTENCE: MEANING", without the meaning: nothing will be made of it. */
static int refuse_problem(const char *problems, char where[RESOURCE_WHERE], struct err *e)
{
	char line[512];
	(void)text_copy(line, sizeof(line), problems);
	line[strcspn(line, "\n")] = '\0';
	char *first = strstr(line, ": "), *last = first;
	for (char *p = first; p; p = strstr(p + 1, ": "))
		last = p;
	if (last != first)
		*last = '\0';
	if (first && (size_t)(first - line) < RESOURCE_WHERE) {
		memcpy(where, line, (size_t)(first - line));
		where[first - line] = '\0';
	}
	return err_set(e, EINVAL, "%s", line);
}

static int take_name(struct resource *r, const char *namespace, const char *name,
	char where[RESOURCE_WHERE], struct err *e)
{
	int n = *namespace ? snprintf(r->name, sizeof(r->name), "%s.%s", namespace, name)
			   : snprintf(r->name, sizeof(r->name), "%s", name);
	if (n < (int)sizeof(r->name))
		return 0;
	(void)text_copy(where, RESOURCE_WHERE, "metadata.name");
	return err_set(e, EINVAL,
		"metadata.name and metadata.namespace have more than %zu characters",
		sizeof(r->name) - 2);
}

static int judge_policy(
	const json_t *doc, struct resource *r, char where[RESOURCE_WHERE], struct err *e)
{
	struct policy *p = NULL;
	int error = policy_read_policy(doc, &p, e);
	if (error == 0)
		error = p->problems ? refuse_problem(p->problems, where, e)
				    : take_name(r, p->namespace, p->name, where, e);
	policy_free(p);
	return error;
}

static int judge_set(
	const json_t *doc, struct resource *r, char where[RESOURCE_WHERE], struct err *e)
{
	struct policy_netset s = {.n_nets = 0};
	int error = policy_read_netset(doc, &s, e);
	if (error == 0)
		error = take_name(r, s.namespace, s.name, where, e);
	free(s.nets);
	free((void *)s.labels.v);
	return error;
}

static int judge_tier(
	const json_t *doc, struct resource *r, char where[RESOURCE_WHERE], struct err *e)
{
	static const char *const own[] = {
		POLICY_TIER_DEFAULT, POLICY_TIER_ADMIN, POLICY_TIER_BASELINE};
	struct policy_tier t;
	int error = policy_read_tier(doc, &t, e);
	if (error == 0 && TEXT_INDEX(t.name, own) >= 0) {
		(void)text_copy(where, RESOURCE_WHERE, "metadata.name");
		return err_set(e, EINVAL,
			"metadata.name is %s, a tier that is always there as docs/POLICY.md says",
			t.name);
	}
	return error < 0 ? error : take_name(r, "", t.name, where, e);
}

int resource_judge_policy(
	const json_t *doc, struct resource *r, char where[RESOURCE_WHERE], struct err *e)
{
	if (r->kind == RESOURCE_TIER)
		return judge_tier(doc, r, where, e);
	if (r->kind == RESOURCE_NETWORKSET || r->kind == RESOURCE_GLOBALNETWORKSET)
		return judge_set(doc, r, where, e);
	return judge_policy(doc, r, where, e);
}
