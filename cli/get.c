/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostctl get: resources as a table, or as documents that apply takes back. The documents are as
 * they are in the store, so that what is shown is what agents read; one that cannot be read is
 * said on stderr, with the reason, and makes the exit status 1. As JSON and YAML it is printed all
 * the same if it is JSON at all: who wants to mend it has to see it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/get_table.h"
#include "cli/output.h"
#include "cli/inventory.h"
#include "cli/config.h"
#include "cluster/document.h"
#include "cluster/keys.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "lib/yaml.h"

struct wanted {
	enum resource_kind kind; /* RESOURCE_KINDS: all of them */
	char **names;		 /* all of the kind when there is none */
	size_t n_names;
};

struct found {
	const struct inventory_item **items;
	size_t n;
	bool missing; /* a name */
};

static void get_find(const struct inventory *s, const struct wanted *w, struct found *out)
{
	out->items = mem_new(s->n_items + w->n_names, sizeof(const struct inventory_item *));
	for (size_t i = 0; i < s->n_items && w->n_names == 0; i++)
		out->items[out->n++] = &s->items[i];
	for (size_t i = 0; i < w->n_names; i++) {
		struct err e = {0};
		const struct inventory_item *item =
			text_is_dns_name(w->names[i]) ? inventory_item(s, w->kind, w->names[i])
						      : NULL;
		if (item)
			out->items[out->n++] = item;
		if (item)
			continue;
		(void)err_set(
			&e, ENOENT, "%.300s does not exist", LABEL_STRING(w->kind, w->names[i]));
		inventory_add_meant(s, w->kind, w->names[i], &e);
		(void)output_error(&e);
		out->missing = true;
	}
}

/* How many nobody uses: they cannot be read, or overlap an older pool. */
static size_t complain_unused(const struct found *f)
{
	size_t n = 0;
	for (size_t i = 0; i < f->n; i++) {
		const struct inventory_item *item = f->items[i];
		if (!item->value)
			(void)output_complain("%s cannot be read: %s",
				LABEL_STRING(item->kind, item->name), item->why);
		else if (item->over)
			(void)output_complain(
				"%s is left out: it overlaps %s of %s, which is older",
				LABEL_STRING(item->kind, item->name),
				CIDR_STRING(&item->over->pool.pool.cidr),
				LABEL_STRING(RESOURCE_IPPOOL, item->over->name));
		n += !item->value || item->over;
	}
	return n;
}

static json_t *show_document(const struct options *o, const struct inventory_item *item)
{
	return o->given & OPTION_SHOW_SECRETS ? json_incref(item->doc)
					      : document_hide(item->doc, NULL);
}

static json_t *make_document(const struct options *o, const struct wanted *w, const struct found *f)
{
	if (w->n_names == 1)
		return f->n == 1 && f->items[0]->doc ? show_document(o, f->items[0]) : NULL;
	json_t *items = json_array();
	for (size_t i = 0; i < f->n; i++)
		if (f->items[i]->doc)
			json_append(items, show_document(o, f->items[i]));
	return json_pack("{s:s, s:s, s:o}", "apiVersion", "projectcalico.org/v3", "kind", "List",
		"items", items);
}

/* A table for each kind; the title of the kind only where there are several. */
static void print_tables(const struct wanted *w, const struct found *f)
{
	bool first = true;
	for (size_t i = 0; i < f->n;) {
		enum resource_kind kind = f->items[i]->kind;
		size_t end = i;
		while (end < f->n && f->items[end]->kind == kind)
			end++;
		if (w->kind == RESOURCE_KINDS)
			(void)printf("%s%s\n", first ? "" : "\n", resource_kind_text(kind));
		get_table_print(stdout, kind, f->items + i, end - i);
		first = false;
		i = end;
	}
	if (f->n == 0 && w->n_names == 0)
		(void)fprintf(stderr, "roostctl: there is no %s\n",
			w->kind == RESOURCE_KINDS ? "resource" : resource_kind_text(w->kind));
}

static int get_print(const struct options *o, const struct inventory *s, const struct wanted *w)
{
	struct found f = {0};
	get_find(s, w, &f);
	int status = complain_unused(&f) > 0 || f.missing;
	CLEANUP_JSON json_t *doc = o->json || o->yaml ? make_document(o, w, &f) : NULL;
	if (doc && o->yaml) {
		CLEANUP_FREE char *text = yaml_text(doc);
		(void)fputs(text, stdout);
	} else if (doc) {
		output_json(json_incref(doc));
	} else if (!o->json && !o->yaml) {
		print_tables(w, &f);
	}
	free(f.items);
	return status;
}

int get_resources(const struct options *o)
{
	CLEANUP_STORE struct store *store = NULL;
	CLEANUP_INVENTORY struct inventory s = {0};
	struct wanted w = {
		.kind = RESOURCE_KINDS, .names = o->operands + 1, .n_names = o->n_operands - 1};
	struct err e = {0};
	char prefix[STORE_KEY_MAX] = KEYS_RESOURCES;
	bool all = strcmp(o->operands[0], "all") == 0;
	if (!all && !inventory_parse_kind(o->operands[0], &w.kind, &e))
		return output_usage(o->command, "%s", e.text);
	if (all && w.n_names > 0)
		return output_usage(o->command, "get all takes no name");
	if (!all)
		keys_resource(w.kind, "", prefix);
	int r = config_open_store(o, &store, &e);
	if (r == 0)
		r = inventory_resources(store, prefix, &s, &e);
	return r < 0 ? output_error(&e) : get_print(o, &s, &w);
}
