/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host that gets another name (by hand, by DHCP, by a new image) has told nobody that its node is
 * another one: it goes on as it was. A name of the settings is a decision, and is taken as soon as
 * nothing is in use under the old one. The file of another machine says nothing of this one: a clone
 * is somebody new.
 */
#include "agent/naming.h"

#include <stdio.h>
#include <string.h>

const char *naming_choose(const struct naming_input *in, char why[PROBLEM_TEXT])
{
	why[0] = '\0';
	if (!*in->before || strcmp(in->before, in->told) == 0)
		return in->told;
	if (in->is_host && !in->other_machine)
		(void)snprintf(why, PROBLEM_TEXT,
			"this machine was %.40s, and its host is called %.40s now: it goes on as "
			"%.40s; to keep this name set \"node\" to it in roostd.json; to move, "
			"drain it, then set \"node\" to the new one and restart roostd",
			in->before, in->told, in->before);
	else if (!in->is_host && in->used)
		(void)snprintf(why, PROBLEM_TEXT,
			"this machine was %.40s, of whose blocks %llu addresses are in use: it "
			"goes "
			"on as that, not as %.40s; drain it, stop its pods and restart roostd, or "
			"set \"node\" back",
			in->before, (unsigned long long)in->used, in->told);
	return *why ? in->before : in->told;
}
