/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings of roostd. One table has a row for each option, the other ones for each key of the
 * file. The defaults, the file, the environment and the command line are put in this order, each
 * text through its check (agent/settings.h), so what agent_conf_read() gives cannot be wrong.
 *
 * Options are read by a loop of our own and not by getopt_long(), which accepts abbreviations
 * (cli/options.c says why that is a trap). All but three have a value.
 *
 * The file belongs to root, but a typing error in it may cost a night: unknown keys are refused
 * with those that exist, and every sentence names the file and the key.
 */
#include "agent/agent_conf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/settings.h"
#include "cluster/status.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/schema.h"
#include "lib/text.h"

#define HEADROOM_MAX 1048576
#define IDLE_MAX_S 31536000
#define VNI_MAX 16777215
#define TABLE_MIN 256 /* those below are used by others: local, main, default, small numbers */

static const char help_head[] =
	"usage: roostd [OPTION...]\n"
	"       roostd --check [OPTION...] [FILE]\n"
	"\n"
	"The node agent of roost: claims blocks of addresses for this node, keeps its routes,\n"
	"tunnels and NAT right, and feeds BIRD. It stays in the foreground and logs to stderr.\n"
	"\n";
static const char help_tail[] =
	"  --state-dir DIR    folder of the node state; again for each network of this host\n"
	"                     (/run/roost/state)\n"
	"  --config FILE      JSON file with these settings and more (/etc/roost/roostd.json)\n"
	"  --check [FILE]     say whether the settings are right, and end with 0 or 2;\n"
	"                     nothing is touched\n"
	"  --help             this text\n"
	"  --version          the version of roostd\n"
	"\n"
	"HOW: first-found, interface=REGEX[,REGEX...], can-reach=ADDRESS, cidr=NET[,NET...],\n"
	"an address, or none.\n"
	"\n"
	"The command line wins over the environment (ROOST_NODE, ROOST_STORE, ROOST_DATA_DIR,\n"
	"ROOST_SOCKET, ROOST_STATE_DIR, ROOST_CONFIG), that one over the file. SIGHUP reads the\n"
	"settings again; SIGTERM and SIGINT end the agent and leave pods and routes as they are.\n"
	"docs/AGENT.md describes everything.\n";

#define AT(field) SCHEMA_AT(struct agent_conf, field)

static const struct option {
	const char *flag, *variable; /* NULL: none */
	setting_fn *put;
	size_t offset, size; /* of its field */
	const char *value, *help;
} options[] = {
	{"node", "ROOST_NODE", setting_node, AT(node), "NAME",
		"this node's name in the cluster (the host's name)"},
	{"store", "ROOST_STORE", setting_store, AT(store.url), "URL",
		"the cluster store: file:PATH or etcd:URL[,URL...] (file:DATA_DIR/store)"},
	{"data-dir", "ROOST_DATA_DIR", setting_path, AT(data_dir), "DIR",
		"what must survive a reboot (/var/lib/roost)"},
	{"socket", "ROOST_SOCKET", setting_socket, AT(socket), "PATH",
		"where roostctl and pods that start ask (/run/roost/agent.sock)"},
	{"address4", NULL, setting_detect4, AT(detect[IPV4]), "HOW",
		"this node's IPv4 address (first-found), see below"},
	{"address6", NULL, setting_detect6, AT(detect[IPV6]), "HOW",
		"this node's IPv6 address (none), see below"},
	{"log-level", NULL, setting_level, AT(log_level), "LEVEL",
		"error, warning, info or debug (info)"},
};
#define OPTIONS (sizeof(options) / sizeof(options[0]))

static void print_help(void)
{
	(void)fputs(help_head, stdout);
	for (size_t i = 0; i < OPTIONS; i++) {
		char left[40];
		(void)snprintf(left, sizeof(left), "--%s %s", options[i].flag, options[i].value);
		(void)printf("  %-18s %s\n", left, options[i].help);
	}
	(void)fputs(help_tail, stdout);
}

/* What "localhost" and the like would be everybody's name. */
static int put_host_name(struct agent_conf *out, struct err *e)
{
	char name[256] = "";
	(void)gethostname(name, sizeof(name) - 1);
	for (char *p = name; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	if (text_is_dns_name(name) && strcmp(name, "localhost") != 0 &&
		strncmp(name, "localhost.", 10) != 0) {
		(void)text_copy(out->node, sizeof(out->node), name);
		return 0;
	}
	char shown[64];
	(void)text_clean(shown, sizeof(shown), name);
	(void)err_set(e, EINVAL, "the host's name \"%s\" cannot be the node's", shown);
	err_details(e, "give the node a name with --node, ROOST_NODE or \"node\" in the file");
	return -EINVAL;
}

/* What depends on other settings. */
static int complete_conf(struct agent_conf *out, struct err *e)
{
	int r = *out->node ? 0 : put_host_name(out, e);
	if (r < 0)
		return r;
	if (out->n_state_dirs == 0)
		(void)setting_add_state_dir("/run/roost/state", out, e);
	if (!*out->store.url)
		(void)snprintf(
			out->store.url, sizeof(out->store.url), "file:%s/store", out->data_dir);
	if (!*out->store.cert != !*out->store.key)
		return err_set(e, EINVAL, "etcd.certFile and etcd.keyFile belong together");
	if (!*out->store.user != !*out->store.password_file)
		return err_set(e, EINVAL, "etcd.user and etcd.passwordFile belong together");
	return 0;
}

/* ---- The file ---- */

struct setting_type {
	struct schema_type schema;
	setting_fn *put;
};

static int read_setting(const struct schema_at *at, const char *text, void *out)
{
	char place[SCHEMA_PLACE];
	const struct setting_type *t = (const void *)at->m->type;
	schema_place(at, place);
	int r = t->put(text, out, at->m->size, at->reader->e);
	if (r < 0)
		err_add(at->reader->e, "%s", place);
	return r;
}

static int read_state_dirs(const struct schema_at *at, void *out)
{
	struct err *e = at->reader->e;
	if (!json_is_array(at->value))
		return schema_refuse_type(at, "an array");
	int r = 0;
	for (size_t i = 0; r == 0 && i < json_array_size(at->value); i++) {
		const char *dir = json_string_value(json_array_get(at->value, i));
		r = dir ? setting_add_state_dir(dir, out, e) : err_set(e, EBADMSG, "not a string");
		if (r < 0)
			err_add(e, "stateDirs[%zu]", i);
	}
	return r;
}

#define TEXT(put) (&(const struct setting_type){{.parse = read_setting}, (put)}.schema)
#define SECTION(name, form)                                                                        \
	{                                                                                          \
		.key = (name), .type = &schema_object, .schema = &(form)                           \
	}
static const struct schema_member etcd_members[] = {
	{"prefix", TEXT(setting_prefix), AT(store.prefix)},
	{"caFile", TEXT(setting_path_or_none), AT(store.ca)},
	{"certFile", TEXT(setting_path_or_none), AT(store.cert)},
	{"keyFile", TEXT(setting_path_or_none), AT(store.key)},
	{"user", TEXT(setting_word), AT(store.user)},
	{"passwordFile", TEXT(setting_path_or_none), AT(store.password_file)},
};
static const struct schema_member address_members[] = {
	{"ipv4", TEXT(setting_detect4), AT(detect[IPV4])},
	{"ipv6", TEXT(setting_detect6), AT(detect[IPV6])},
};
static const struct schema_member bird_members[] = {
	{"file", TEXT(setting_path), AT(bird_file)},
	{"socket", TEXT(setting_socket), AT(bird_socket)},
	{"include", TEXT(setting_path), AT(bird_include)},
	{"group", TEXT(setting_word), AT(bird_group)},
};
static const struct schema_member vxlan_members[] = {
	{"port", &schema_number, AT(vxlan_port), .min = 1, .max = UINT16_MAX},
	{"vni", &schema_number, AT(vxlan_vni), .min = 1, .max = VNI_MAX},
	{"device", TEXT(setting_device), AT(vxlan_device)},
	{"checksumOffload", &schema_bool, AT(vxlan_offload)},
};
static const struct schema_member exits_members[] = {
	{"table", &schema_number, AT(exits_table), .min = TABLE_MIN, .max = UINT32_MAX},
};
static const struct schema_member log_members[] = {
	{"level", TEXT(setting_level), AT(log_level)},
	{"file", TEXT(setting_path_or_none), AT(log_file)},
};
static const struct schema etcd = SCHEMA_OF(etcd_members), address = SCHEMA_OF(address_members),
			   bird = SCHEMA_OF(bird_members), vxlan = SCHEMA_OF(vxlan_members),
			   exits = SCHEMA_OF(exits_members), logging = SCHEMA_OF(log_members);
static const struct schema_member file_members[] = {
	{"node", TEXT(setting_node), AT(node)},
	{"store", TEXT(setting_store), AT(store.url)},
	SECTION("etcd", etcd),
	{.key = "stateDirs", .type = SCHEMA_READER(read_state_dirs)},
	{"dataDir", TEXT(setting_path), AT(data_dir)},
	{"socket", TEXT(setting_socket), AT(socket)},
	{"socketGroup", TEXT(setting_word), AT(socket_group)},
	SECTION("address", address),
	SECTION("bird", bird),
	{"routes", TEXT(setting_routes), AT(routes_static)},
	{"trustLastBlocks", &schema_bool, AT(trust_last_blocks)},
	{"headroom", &schema_number, AT(headroom), .max = HEADROOM_MAX},
	{"idleBlockSeconds", &schema_number, AT(idle_block_s), .min = 1, .max = IDLE_MAX_S},
	{"heartbeatSeconds", &schema_number, AT(heartbeat_s), .min = 1,
		.max = STATUS_HEARTBEAT_MAX_S},
	SECTION("vxlan", vxlan),
	SECTION("exits", exits),
	SECTION("log", logging),
};

/* A file that nobody asked for may be missing. */
static int take_file(const char *path, bool wanted, struct agent_conf *out, struct err *e)
{
	static const struct schema file = SCHEMA_OF(file_members);
	const struct schema_reader reader = {.unknown = schema_unknown, .e = e};
	CLEANUP_JSON json_t *doc = NULL;
	int r = json_read_file(path, &doc, e);
	if (r < 0)
		return r == -ENOENT && !wanted ? 0 : r;
	r = schema_read_as(&reader, &file, doc, out);
	if (r < 0)
		err_add(e, "%.200s", path);
	return r == -EINVAL ? -EBADMSG : r; /* -EINVAL is for the command line */
}

/* ---- Command line and environment ---- */

struct given {
	const char *values[OPTIONS]; /* NULL: not given */
	const char *state_dirs[AGENT_CONF_STATE_DIRS + 1];
	size_t n_state_dirs;
	const char *config, *operand;
	bool help, version, check;
};

/* An option without a value. */
static bool take_switch(struct given *g, const char *word)
{
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
		g->help = true;
	else if (strcmp(word, "--version") == 0)
		g->version = true;
	else if (strcmp(word, "--check") == 0)
		g->check = true;
	else
		return false;
	return true;
}

/* The file of --check, which may stand before it. */
static int take_operand(struct given *g, const char *word, struct err *e)
{
	if (*word == '-' || g->operand)
		return err_set(e, EINVAL, "unknown argument \"%.60s\"", word);
	g->operand = word;
	return 0;
}

static int take_operand_as_file(struct given *g, struct err *e)
{
	if (!g->operand || g->help || g->version)
		return 0;
	if (!g->check)
		return err_set(e, EINVAL, "unknown argument \"%.60s\"", g->operand);
	if (g->config)
		return err_set(e, EINVAL, "--check takes one file, not \"%.60s\" and \"%.60s\"",
			g->config, g->operand);
	g->config = g->operand;
	return 0;
}

/* The place for the value of the option name; NULL: there is no such option. */
static const char **place_of(struct given *g, const char *name, size_t len)
{
	for (size_t i = 0; i < OPTIONS; i++)
		if (strlen(options[i].flag) == len && memcmp(options[i].flag, name, len) == 0)
			return &g->values[i];
	if (len == 6 && memcmp(name, "config", len) == 0)
		return &g->config;
	if (len == 9 && memcmp(name, "state-dir", len) == 0) {
		g->n_state_dirs += g->n_state_dirs < AGENT_CONF_STATE_DIRS + 1;
		return &g->state_dirs[g->n_state_dirs - 1];
	}
	return NULL;
}

static int parse_arguments(int argc, char **argv, struct given *g, struct err *e)
{
	for (int i = 1; i < argc; i++) {
		const char *word = argv[i];
		if (take_switch(g, word))
			continue;
		if (strncmp(word, "--", 2) != 0) {
			int r = take_operand(g, word, e);
			if (r < 0)
				return r;
			continue;
		}
		size_t len = strcspn(word + 2, "=");
		const char **place = place_of(g, word + 2, len);
		if (!place)
			return err_set(e, EINVAL, "unknown option %.60s", word);
		if (!word[2 + len] && i + 1 == argc)
			return err_set(e, EINVAL, "%s needs a value", word);
		*place = word[2 + len] ? word + 2 + len + 1 : argv[++i];
	}
	return take_operand_as_file(g, e);
}

static const char *get_variable(const char *name)
{
	const char *value = name ? getenv(name) : NULL;
	return value && *value ? value : NULL;
}

/* The command line, else the environment. */
static int take_given(struct given *g, struct agent_conf *out, struct err *e)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < OPTIONS; i++) {
		const struct option *o = &options[i];
		const char *value = g->values[i] ? g->values[i] : get_variable(o->variable);
		if (!value)
			continue;
		r = o->put(value, (char *)out + o->offset, o->size, e);
		if (r < 0)
			err_add(e, "%s%s", g->values[i] ? "--" : "",
				g->values[i] ? o->flag : o->variable);
	}
	const char *dir = get_variable("ROOST_STATE_DIR");
	const char *name = g->n_state_dirs ? "--state-dir" : "ROOST_STATE_DIR";
	if (!g->n_state_dirs && dir)
		g->state_dirs[g->n_state_dirs++] = dir;
	if (g->n_state_dirs)
		out->n_state_dirs = 0;
	for (size_t i = 0; r == 0 && i < g->n_state_dirs; i++) {
		r = setting_add_state_dir(g->state_dirs[i], out, e);
		if (r < 0)
			err_add(e, "%s", name);
	}
	return r;
}

static int answer_check(const char *path)
{
	if (path || access(AGENT_CONF_FILE, F_OK) == 0)
		(void)printf("%s is fine\n", path ? path : AGENT_CONF_FILE);
	else
		(void)printf("there is no %s, which is fine\n", AGENT_CONF_FILE);
	return 1;
}

int agent_conf_read(int argc, char **argv, struct agent_conf *out, struct err *e)
{
	struct given g = {0};
	int r = parse_arguments(argc, argv, &g, e);
	if (r < 0)
		return r;
	if (g.help || g.version) {
		if (g.help)
			print_help();
		else
			(void)printf("roostd %s\n", ROOST_VERSION);
		return 1;
	}
	CLEANUP_FREE struct agent_conf *c = mem_new(1, sizeof(*c));
	const char *path = g.config ? g.config : get_variable("ROOST_CONFIG");
	*c = setting_defaults;
	r = take_file(path ? path : AGENT_CONF_FILE, path, c, e);
	if (r == 0)
		r = take_given(&g, c, e);
	if (r == 0)
		r = complete_conf(c, e);
	if (r == 0)
		*out = *c;
	return r == 0 && g.check ? answer_check(path) : r;
}
