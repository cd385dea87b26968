-- Renewed certificates, without a restart: looks at the files and takes over what has changed. What it reads
-- may be half old, half new; so it must have been the same twice.
local list, seconds = os.getenv("CERTIFICATES"), tonumber(os.getenv("LOOK_SECONDS"))

local function read(name)
  local file = assert(io.open(name))
  local text = file:read("a")
  file:close()
  return text
end

local function read_pair(certificate)
  -- Both in one: apart, the new one of them would be compared with the old other.
  return read(certificate) .. "\n" .. read((certificate:gsub("crt$", "key")))
end

-- Read now, before they are taken into use: what is renewed in between is seen as well.
local known, seen = {}, {}
for line in io.lines(list) do
  local certificate = line:match("^%S+")
  known[certificate] = read_pair(certificate)
end

local function look(certificate)
  local pair = read_pair(certificate)
  if pair ~= known[certificate] and pair == seen[certificate] then
    CertCache.set({ filename = certificate, crt = pair })
    known[certificate] = pair
    core.log(core.notice, "replaced " .. certificate)
  end
  seen[certificate] = pair
end

core.register_task(function()
  while true do
    for certificate in pairs(known) do
      local is_done, why = pcall(look, certificate)
      if not is_done then
        core.log(core.err, "cannot replace " .. certificate .. ": " .. tostring(why))
      end
    end
    core.sleep(seconds)
  end
end)
