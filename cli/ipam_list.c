/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostctl ipam list: every address that is not simply free, a line each, sorted by address. For a
 * cooling address the owner is the last one, which is what somebody reading old logs looks for.
 */
#include "cli/commands.h"
#include "cli/ipam_json.h"
#include "cli/output.h"
#include "cli/state.h"
#include "cli/table.h"
#include "lib/boot.h"

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

static void add_row(struct table *t, const struct node_entry *n, bool wide)
{
	char address[ADDR_TEXT], since[32];
	addr_format(&n->addr, address);
	boot_format_time(n->since_s, since);
	const char *namespace = or_empty(n->owner.pod_namespace);
	table_add(t, "%s", address);
	table_add(t, "%s", node_state_text(n->state));
	table_add(t, "%s", since);
	table_add(t, "%s", or_empty(n->owner.network));
	table_add(t, "%s%s%s", namespace, *namespace ? "/" : "", or_empty(n->owner.pod_name));
	table_add(t, "%.*s", wide ? 1023 : 12, or_empty(n->owner.container));
	table_add(t, "%s", or_empty(n->owner.ifname));
}

static void print_list(const struct node_view *v, bool wide)
{
	static const struct table_column columns[] = {{"ADDRESS", false}, {"STATE", false},
		{"SINCE", false}, {"NETWORK", false}, {"POD", false}, {"CONTAINER", false},
		{"INTERFACE", false}};
	CLEANUP_TABLE struct table t;
	table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < v->n_entries; i++)
		add_row(&t, v->entries[i], wide);
	table_print(&t, stdout);
}

int ipam_list(const struct options *o)
{
	struct err e = {0};
	struct node_view v;
	int r = state_look(o->state_dir, &v, &e);
	if (r < 0)
		return output_error(&e);
	if (o->json)
		output_json(ipam_json_entries(&v));
	else if (r > 0)
		print_list(&v, o->given & OPTION_WIDE);
	node_view_done(&v);
	return 0;
}
