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
#include "lib/text.h"

static void print_list(const struct node_view *v, bool wide)
{
	CLEANUP_TABLE struct table t;
	table_init(&t, "ADDRESS|STATE|SINCE|NETWORK|POD|CONTAINER|INTERFACE");
	for (size_t i = 0; i < v->n_entries; i++) {
		const struct node_entry *n = v->entries[i];
		CLEANUP_TEXT struct text pod = {0}, container = {0};
		output_add_pod(&pod, &n->owner);
		text_add(&container, "%.*s", wide ? 1023 : 12,
			n->owner.container ? n->owner.container : "");
		table_row(&t, ADDR_STRING(&n->addr), node_state_text(n->state),
			TIME_STRING(n->since_s), n->owner.network, pod.buf, container.buf,
			n->owner.ifname);
	}
	table_print(&t, stdout);
}

int ipam_list(const struct options *o)
{
	struct err e = {0};
	struct node_view v;
	int r = state_read(o->state_dir, &v, &e);
	if (r < 0)
		return output_error(&e);
	if (o->json)
		output_json(ipam_json_entries(&v));
	else if (r > 0)
		print_list(&v, o->given & OPTION_WIDE);
	node_view_done(&v);
	return 0;
}
