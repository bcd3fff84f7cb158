# SPDX-License-Identifier: MIT
# A workload for lua: tables, closures, coroutines, metatables, errors, GC.
# bash lua.sh DIRECTORY [TIMES]
set -e
rm -rf "$1/work"
mkdir -p "$1/work"
cd "$1/work"
times=${2:-1}
cat >work.lua <<'EOF'
local times = tonumber(arg[1])
local function fib(n) return n < 2 and n or fib(n - 1) + fib(n - 2) end
local function deep(n) if n == 0 then return 0 end return 1 + deep(n - 1) end
local function tail(n, s) if n == 0 then return s end return tail(n - 1, s + n) end
local V = {}
V.__index = V
V.__add = function(a, b) return setmetatable({ x = a.x + b.x }, V) end
V.__tostring = function(v) return "V(" .. v.x .. ")" end
V.__close = function() io.write("closed ") end
V.__gc = function() end
for k = 1, times do
  local t = {}
  for i = 1, 200 do t[i] = (i * 7919) % 211 end
  table.sort(t, function(a, b) return a > b end)
  print(t[1], t[200], #t, fib(16), deep(150), tail(2000, 0))
  print(tostring(setmetatable({ x = 1 }, V) + setmetatable({ x = 2 }, V)))
  local co = coroutine.wrap(function(a) for i = 1, 3 do a = coroutine.yield(a * i) end
    error("inside") end)
  print(co(5), co(6), co(7), pcall(co, 1))
  print(("hello world"):gsub("o", "0"), ("%5.2f|%-5s|%x"):format(3.14159, "ab", 255),
    ("key=val"):match("(%w+)=(%w+)"), ("abc"):rep(2, "-"):upper(), #("\u{48}"))
  print(pcall(function() local x = nil; return x.y end))
  print(select("#", table.unpack({ 1, nil, 3 }, 1, 3)), math.maxinteger // 3, 7 // -2, 7 % -3,
    1 << 40, 0x1p4, 10 / 4, 3 | 4, ~0)
  do local c <close> = setmetatable({ x = 3 }, V) end
  print(load("return 1 +")) print(load("return ...", "c", "t", {})(k))
  local s = {}
  for w in ("the quick brown the lazy the"):gmatch("%a+") do s[w] = (s[w] or 0) + 1 end
  print(s.the, s.lazy, next({}), rawlen({ 1, 2 }), rawequal(s, s))
  local parts = {}
  for i = 1, 500 do parts[#parts + 1] = ("item" .. i):reverse() end
  print(#table.concat(parts, ","), string.pack("<i4s2", 7, "x"):byte(1, -1))
  collectgarbage()
  print(xpcall(deep, function(m) return "too deep" end, 1e6))
  goto done
  ::done::
end
os.exit(6)
EOF
lua5.4 work.lua "$times" || echo "exit $?"
lua5.4 -e 'print(#arg, ...)' - one two </dev/null
lua5.4 -e 'error("at top")' 2>&1 || echo "exit $?"
lua5.4 -e 'x = = 2' 2>&1 || echo "exit $?"
echo 'print(2 + 3) return 4' | lua5.4 -
