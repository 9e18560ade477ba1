/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan of an apply. Each manifest meets what the store has under its name: nothing, the same, or
 * something else. Of a Node the agent's fields are carried over first (cluster/document.h), and the
 * result is read again, as two good halves may not make a good whole. Then the rules between
 * resources are checked on the set as it would be with all manifests applied: a file may move a
 * node's address and a pool at once.
 */
#include "cli/plan.h"

#include "cli/output.h"
#include "cli/rules.h"
#include "cluster/document.h"
#include "lib/mem.h"
#include "lib/text.h"

/* Returns the complaints. */
static size_t make_step(const struct inventory *s, const struct manifest *m, struct plan_step *out)
{
	char where[RESOURCE_WHERE];
	struct err e = {0};
	struct plan_step step = {
		.manifest = m,
		.old = inventory_item(s, m->resource.kind, m->resource.name),
	};
	const json_t *old = step.old && step.old->value ? step.old->doc : NULL;
	const struct inventory_node *node =
		m->resource.kind == RESOURCE_NODE ? inventory_node(s, m->resource.name) : NULL;
	step.doc = m->resource.kind == RESOURCE_NODE
			   ? document_merge_node(old, m->stored, node && node->agent != AGENT_NEVER)
			   : document_reveal(m->stored, step.old ? step.old->doc : NULL, NULL);
	if (resource_parse(step.doc, &step.value, where, &e) < 0) {
		manifest_complain(m, where, e.text);
		json_decref(step.doc);
		return 1;
	}
	bool same = old && document_same(step.doc, old);
	step.kind = same ? PLAN_UNCHANGED : step.old ? PLAN_CONFIGURE : PLAN_CREATE;
	const struct resource *before = step.old ? step.old->value : NULL;
	step.recheck = !same && rules_needs_recheck(before, &step.value);
	step.moves = step.recheck && before && step.value.kind == RESOURCE_IPPOOL;
	if (step.value.kind == RESOURCE_IPPOOL)
		document_stamp(step.doc, step.moves || !step.old ? NULL : step.old->doc);
	*out = step;
	return 0;
}

static bool is_planned(const struct plan *p, const struct inventory_item *item)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->steps[i].old == item)
			return true;
	return false;
}

/* The planned ones first, in the order of the steps; then the store's others. */
static struct rules_item *plan_collect(const struct plan *p, size_t *n)
{
	struct rules_item *items = mem_new(p->n + p->inventory.n_items, sizeof(*items));
	for (size_t i = 0; i < p->n; i++)
		items[(*n)++] = (struct rules_item){
			.now = &p->steps[i].value,
			.before = p->steps[i].old ? p->steps[i].old->value : NULL,
		};
	for (size_t i = 0; i < p->inventory.n_items; i++) {
		const struct inventory_item *item = &p->inventory.items[i];
		if (item->value && !is_planned(p, item))
			items[(*n)++] =
				(struct rules_item){.now = item->value, .before = item->value};
	}
	return items;
}

/* Of items that plan_collect() has made. */
static struct rules_set set_of(const struct plan *p, const struct rules_item *items, size_t n)
{
	return (struct rules_set){.items = items,
		.n_items = n,
		.blocks = p->inventory.blocks,
		.n_blocks = p->inventory.n_blocks};
}

static size_t check_rules(const struct plan *p)
{
	size_t n = 0, complaints = 0;
	CLEANUP_FREE struct rules_item *items = plan_collect(p, &n);
	const struct rules_set set = set_of(p, items, n);
	for (size_t i = 0; i < p->n; i++) {
		const char *where = "";
		struct err e = {0};
		if (p->steps[i].kind == PLAN_UNCHANGED || rules_check(&set, i, &where, &e) == 0)
			continue;
		manifest_complain(p->steps[i].manifest, where, e.text);
		complaints++;
	}
	return complaints;
}

/* Whether it matters which nodes have agents. */
static bool has_node(const struct manifests *m)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->list[i].resource.kind == RESOURCE_NODE)
			return true;
	return false;
}

/* The inventory, and a step of each manifest that can have one. Complaints, or -errno. */
static int make_steps(struct store *s, const struct manifests *m, struct plan *out, struct err *e)
{
	size_t complaints = 0;
	*out = (struct plan){0};
	int r = has_node(m) ? inventory_read(s, &out->inventory, e)
			    : inventory_all(s, &out->inventory, e);
	if (r < 0) {
		plan_done(out);
		return r;
	}
	out->steps = mem_new(m->n, sizeof(*out->steps));
	for (size_t i = 0; i < m->n; i++) {
		size_t n = make_step(&out->inventory, &m->list[i], &out->steps[out->n]);
		complaints += n;
		out->n += n == 0;
	}
	return (int)complaints;
}

int plan_make(struct store *s, const struct manifests *m, struct plan *out, struct err *e)
{
	int r = make_steps(s, m, out, e);
	return r < 0 ? r : r + (int)check_rules(out);
}

/* Whether the store's item would be refused now. The items are those of the inventory. */
static bool is_refused(
	const struct plan *p, struct rules_item *items, size_t n, const struct resource *value)
{
	const struct rules_set set = set_of(p, items, n);
	const char *where = "";
	struct err ignored; /* the next look says it, with its file and line */
	size_t i = 0;
	while (i < n && items[i].now != value)
		i++;
	if (i == n)
		return false;
	items[i].before = NULL;
	return rules_check(&set, i, &where, &ignored) < 0;
}

int plan_verify(struct store *s, const struct manifests *m, const bool *recheck, bool *lost,
	struct plan *out, struct err *e)
{
	int r = make_steps(s, m, out, e);
	if (r < 0)
		return r;
	size_t n = 0;
	int refused = 0;
	CLEANUP_FREE struct rules_item *items = mem_new(out->inventory.n_items + 1, sizeof(*items));
	for (size_t i = 0; i < out->inventory.n_items; i++) {
		const struct resource *value = out->inventory.items[i].value;
		if (value)
			items[n++] = (struct rules_item){.now = value, .before = value};
	}
	for (size_t i = 0; i < out->n; i++) {
		const struct plan_step *step = &out->steps[i];
		size_t at = (size_t)(step->manifest - m->list);
		if (!recheck[at] || step->kind != PLAN_UNCHANGED ||
			!is_refused(out, items, n, step->old->value))
			continue;
		lost[at] = true;
		refused++;
	}
	return refused;
}

static void warn_node(const struct plan_step *step)
{
	char refused[200] = "";
	struct text t = TEXT_ON(refused);
	const char *name = step->value.name;
	const struct resource *before = step->old ? step->old->value : NULL;
	document_list_refused(step->manifest->stored, step->doc, &t);
	if (t.len)
		(void)output_complain(
			"warning: node/%.100s: %s stays as the node's agent says", name, refused);
	if (before && before->node.drain && !step->value.node.drain)
		(void)output_complain(
			"warning: node/%.100s was drained and takes new pods again, as the file "
			"says drain: false",
			name);
}

void plan_warn(const struct plan *p)
{
	size_t n = 0;
	CLEANUP_FREE struct rules_item *items = plan_collect(p, &n);
	const struct rules_set set = set_of(p, items, n);
	for (size_t i = 0; i < p->n; i++) {
		const struct resource *r = &p->steps[i].value;
		char text[256];
		if (rules_warn(&set, i, text))
			(void)output_complain(
				"warning: %s: %s", LABEL_STRING(r->kind, r->name), text);
		if (r->kind == RESOURCE_NODE)
			warn_node(&p->steps[i]);
	}
}

void plan_done(struct plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		resource_done(&p->steps[i].value);
		json_decref(p->steps[i].doc);
	}
	free(p->steps);
	inventory_done(&p->inventory);
	*p = (struct plan){0};
}
