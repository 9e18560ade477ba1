/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostctl ipam map: the picture of this node's blocks. The drawing is cli/map.c; here is only the
 * last word on colours: without a choice (the option's, or the environment's, which roostctl.c
 * reads) a terminal has them.
 */
#include "cli/commands.h"

#include <unistd.h>

#include "cli/ipam_json.h"
#include "cli/map.h"
#include "cli/output.h"
#include "cli/state.h"

static bool wants_color(enum options_color choice)
{
	if (choice == OPTIONS_COLOR_AUTO)
		return isatty(STDOUT_FILENO) == 1;
	return choice == OPTIONS_COLOR_ALWAYS;
}

int ipam_map(const struct options *o)
{
	struct err e = {0};
	struct node_view v;
	int r = state_read(o->state_dir, &v, &e);
	if (r < 0)
		return output_error(&e);
	if (o->json)
		output_json(ipam_json_map(&v));
	else if (r > 0 && v.n_blocks == 0)
		(void)output_complain("this node has no blocks");
	else
		map_print(stdout, &v, wants_color(o->color));
	node_view_done(&v);
	return 0;
}
