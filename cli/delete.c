/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostctl delete. All names are looked up before anything is deleted; then each resource goes by a
 * write of its own, in the order given.
 *
 * A pool goes only when none of its blocks is in use, see cli/commit.c for how that is made sure.
 * A node is its document, its blocks and what its agent says of itself: deleting only the first
 * would leave the blocks to nobody, so a node that has any of the others is for `roostctl node
 * remove`.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/commit.h"
#include "cli/manifest.h"
#include "cli/output.h"
#include "cli/rules.h"
#include "cli/inventory.h"
#include "cli/config.h"
#include "cluster/keys.h"
#include "lib/mem.h"
#include "lib/text.h"

#define LOST_RACES_MAX 10

struct target {
	enum resource_kind kind;
	char name[RESOURCE_NAME];
};

struct targets {
	struct target *list;
	size_t n, room;
};

static void add_target(struct targets *t, enum resource_kind kind, const char *name)
{
	t->list = mem_grow(t->list, &t->room, t->n, sizeof(*t->list));
	t->list[t->n].kind = kind;
	(void)text_copy(t->list[t->n++].name, RESOURCE_NAME, name);
}

/* The exit status when there is nothing to do, else -1. */
static int take_operands(const struct options *o, struct targets *t)
{
	enum resource_kind kind;
	struct err e = {0};
	if (o->n_operands < 2)
		return output_usage(o->command, "delete needs KIND NAME..., or -f FILE");
	if (!inventory_parse_kind(o->operands[0], &kind, &e))
		return output_usage(o->command, "%s", e.text);
	for (size_t i = 1; i < o->n_operands; i++) {
		if (!text_is_dns_name(o->operands[i]))
			return output_complain("%s/%.200s does not exist", resource_kind_text(kind),
				o->operands[i]);
		add_target(t, kind, o->operands[i]);
	}
	return -1;
}

static int take_files(const struct options *o, struct targets *t)
{
	CLEANUP_MANIFESTS struct manifests m = {0};
	if (o->n_operands > 0)
		return output_usage(o->command, "delete takes KIND NAME... or -f FILE, not both");
	if (manifests_read(o, &m) > 0)
		return output_complain("nothing was deleted");
	for (size_t i = 0; i < m.n; i++)
		add_target(t, m.list[i].resource.kind, m.list[i].resource.name);
	return -1;
}

static int check_all_exist(struct store *s, const struct targets *t, struct err *e)
{
	int missing = 0;
	for (size_t i = 0; i < t->n; i++) {
		CLEANUP_DOC struct store_doc doc = {0};
		char key[STORE_KEY_MAX];
		keys_resource(t->list[i].kind, t->list[i].name, key);
		int r = config_get(s, key, &doc, e);
		if (r < 0)
			return r;
		if (r > 0)
			continue;
		(void)err_set(e, ENOENT, "%.300s does not exist",
			LABEL_STRING(t->list[i].kind, t->list[i].name));
		inventory_ask_meant(s, t->list[i].kind, t->list[i].name, e);
		(void)output_error(e);
		missing++;
	}
	return missing;
}

static int has_blocks(struct store *s, const char *node, struct err *e)
{
	CLEANUP_INVENTORY struct inventory v = {0};
	int r = inventory_blocks(s, &v, e);
	bool has = false;
	for (size_t i = 0; r >= 0 && i < v.n_blocks && !has; i++)
		has = strcmp(v.blocks[i].node, node) == 0;
	return r < 0 ? r : has;
}

static int check_node(struct store *s, const char *name, struct err *e)
{
	char key[STORE_KEY_MAX];
	CLEANUP_DOC struct store_doc status = {0};
	int blocks = has_blocks(s, name, e);
	keys_status(name, key);
	int agent = blocks < 0 ? blocks : config_get(s, key, &status, e);
	if (agent < 0)
		return agent;
	if (!blocks && !agent)
		return 0;
	(void)err_set(e, EBUSY, "node/%.100s has %s: it is more than a document", name,
		blocks ? "blocks" : "an agent");
	err_details(e, "roostctl node remove %.100s removes all of it", name);
	return -EBUSY;
}

static int refuse_pool(const char *name, const char *in_use, struct err *e)
{
	(void)err_set(e, EBUSY, "ippool/%.100s has %s", name, in_use);
	err_details(e, "apply it with disabled: true, so that no new pod gets its addresses, stop "
		       "the pods that have some (roostctl node drain), and delete it when its "
		       "blocks have come back");
	return -EBUSY;
}

/* The pool is held: counts its blocks, and deletes it or puts it back. */
static int finish_pool(struct store *s, struct inventory *all, const struct inventory_item *item,
	int64_t revision, struct err *e)
{
	char in_use[256];
	int r = inventory_blocks(s, all, e);
	if (r < 0)
		return r;
	if (rules_count_blocks(all->blocks, all->n_blocks, &item->value->pool.pool.cidr, in_use) >
		0)
		return refuse_pool(item->name, in_use, e);
	return commit_write(s, item->key, revision, NULL, e);
}

static int delete_pool(
	struct store *s, struct inventory *all, const struct inventory_item *item, struct err *e)
{
	struct err ignored = {0};
	struct commit_hold hold = {.revision = 0};
	if (!item->value) /* nobody can claim of what nobody can read */
		return commit_write(s, item->key, item->revision, NULL, e);
	if (item->value->pool.disabled)
		return finish_pool(s, all, item, item->revision, e);
	int r = commit_hold(s, item, &hold, e);
	if (r <= 0)
		return r;
	r = finish_pool(s, all, item, hold.revision, e);
	if (r <= 0 && commit_release(s, &hold, &ignored) < 0)
		err_details(e, "ippool/%.100s stays disabled: %.200s", item->name, ignored.text);
	commit_hold_done(&hold);
	return r;
}

/* 1 deleted, 0 look again, -errno. */
static int try_delete(struct store *s, const struct target *t, struct err *e)
{
	CLEANUP_INVENTORY struct inventory all = {0};
	int r = t->kind == RESOURCE_NODE ? check_node(s, t->name, e) : 0;
	if (r == 0)
		r = inventory_all(s, &all, e);
	if (r < 0)
		return r;
	const struct inventory_item *item = inventory_item(&all, t->kind, t->name);
	if (!item)
		return err_set(e, ENOENT, "%.300s does not exist any more",
			LABEL_STRING(t->kind, t->name));
	return t->kind == RESOURCE_IPPOOL ? delete_pool(s, &all, item, e)
					  : commit_write(s, item->key, item->revision, NULL, e);
}

static int delete_target(struct store *s, const struct target *t, struct err *e)
{
	for (int i = 0; i < LOST_RACES_MAX; i++) {
		int r = try_delete(s, t, e);
		if (r != 0)
			return r;
	}
	return err_set(e, EAGAIN, "somebody else keeps changing this resource");
}

static int delete_targets(struct store *s, const struct targets *t, bool json)
{
	json_t *list = json ? json_array() : NULL;
	int failed = 0;
	for (size_t i = 0; i < t->n; i++) {
		struct err e = {0};
		if (delete_target(s, &t->list[i], &e) < 0)
			failed = output_error(&e);
		else
			commit_report(list, t->list[i].kind, t->list[i].name, "deleted");
	}
	if (list)
		output_json(list);
	commit_drop_guard(s);
	return failed;
}

int delete_resources(const struct options *o)
{
	CLEANUP_STORE struct store *store = NULL;
	struct targets t = {0};
	struct err e = {0};
	int status = o->n_files > 0 ? take_files(o, &t) : take_operands(o, &t);
	if (status < 0 && (status = config_open_store(o, &store, &e)) == 0)
		status = check_all_exist(store, &t, &e);
	if (status < 0)
		status = output_error(&e);
	else if (store && status > 0)
		status = output_complain("nothing was deleted");
	else if (store)
		status = delete_targets(store, &t, o->json);
	free(t.list);
	return status;
}
