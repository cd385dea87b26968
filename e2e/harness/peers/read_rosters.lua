-- Reads the roster of each user named in a file, with Prosody's own storage; prints the times, in ns.
-- Arguments: the data folder, the domain, the file with the names.
prosody = { platform = "posix" }
local datamanager = require "util.datamanager"
local now = require "util.time".monotonic
local path, domain, names = arg[1], arg[2], arg[3]
datamanager.set_data_path(path)
for name in io.lines(names) do
	local before = now()
	local roster = assert(datamanager.load(name, domain, "roster"))
	print(math.floor((now() - before) * 1e9))
	assert(next(roster) ~= nil)
end
