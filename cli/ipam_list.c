/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostctl ipam list: every address that is not simply free, a line each, sorted by address. For a
 * cooling address the owner is the last one, which is what somebody reading old logs looks for.
 *
 * roostctl ipam map: the same as a picture, which cli/map.c draws. Without a choice on colours (the
 * option's, or the environment's, which roostctl.c reads) a terminal has them.
 */
#include "cli/commands.h"

#include <unistd.h>

#include "cli/ipam_json.h"
#include "cli/map.h"
#include "cli/output.h"
#include "cli/state.h"
#include "cli/table.h"
#include "lib/boot.h"
#include "lib/text.h"

static void print_list(const struct node_view *v, const struct options *o)
{
	CLEANUP_TABLE struct table t;
	table_init(&t, "ADDRESS|STATE|SINCE|NETWORK|POD|CONTAINER|INTERFACE");
	for (size_t i = 0; i < v->n_entries; i++) {
		const struct node_entry *n = v->entries[i];
		CLEANUP_TEXT struct text pod = {0}, container = {0};
		output_add_pod(&pod, &n->owner);
		text_add(&container, "%.*s", o->given & OPTION_WIDE ? 1023 : 12,
			n->owner.container ? n->owner.container : "");
		table_row(&t, ADDR_STRING(&n->addr), node_state_text(n->state),
			TIME_STRING(n->since_s), n->owner.network, pod.buf, container.buf,
			n->owner.ifname);
	}
	table_print(&t, stdout);
}

static void print_map(const struct node_view *v, const struct options *o)
{
	bool automatic = o->color == OPTIONS_COLOR_AUTO;
	if (v->n_blocks == 0)
		(void)output_complain("this node has no blocks");
	else
		map_print(stdout, v,
			automatic ? isatty(STDOUT_FILENO) == 1 : o->color == OPTIONS_COLOR_ALWAYS);
}

/* The state as a document, or for people when there is one. */
static int show_state(const struct options *o, json_t **doc,
	json_t *(*document)(const struct node_view *v),
	void (*print)(const struct node_view *v, const struct options *o))
{
	struct err e = {0};
	struct node_view v;
	int r = state_read(o->state_dir, &v, &e);
	if (r < 0)
		return output_error(&e);
	if (o->json)
		*doc = document(&v);
	else if (r > 0)
		print(&v, o);
	node_view_done(&v);
	return 0;
}

static int list_folder(const struct options *o, json_t **doc)
{
	return show_state(o, doc, ipam_json_entries, print_list);
}

static int map_folder(const struct options *o, json_t **doc)
{
	return show_state(o, doc, ipam_json_map, print_map);
}

int ipam_list(const struct options *o)
{
	return state_each(o, list_folder);
}

int ipam_map(const struct options *o)
{
	return state_each(o, map_folder);
}
