<#
.SYNOPSIS
  Installs odist for this user: one file, and with -Service a task that keeps a node running. Wants no administrator.
.DESCRIPTION
  irm @RELEASES@/latest/download/install.ps1 | iex
  .\install.ps1 [-Service] [-Version VERSION] [-Dir FOLDER] [-From FOLDER|ADDRESS]

  Whatever is fetched is compared with the SHA-256 in the release's SHA256SUMS. "odist uninstall" takes all of it away again.
  -Service makes a task of the task scheduler, not a service of the service manager: that starts only programs that answer it.
  Made by scripts/packages/generate.ts; edit scripts/packages/templates/install.ps1.
#>
[CmdletBinding()]
param(
  [switch] $Service,
  [string] $Version = '',
  [string] $Dir = (Join-Path $env:LOCALAPPDATA 'Programs\odist'),
  [string] $From = ''
)
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

function Get-FileName {
  switch ($env:PROCESSOR_ARCHITECTURE) {
    'AMD64' { return 'odist-windows-x86_64.exe' }
    'ARM64' { return 'odist-windows-aarch64.exe' }
    default { throw "There is no file for $env:PROCESSOR_ARCHITECTURE: wanted AMD64 or ARM64" }
  }
}

function Copy-Released([string] $Name, [string] $Target) {
  if ($From -match '^https?://') {
    Invoke-WebRequest -UseBasicParsing -Uri "$From/$Name" -OutFile $Target
  } else {
    Copy-Item -LiteralPath (Join-Path $From $Name) -Destination $Target
  }
}

function Assert-Digest([string] $File, [string] $Name, [string] $Sums) {
  $line = Get-Content -LiteralPath $Sums | Where-Object { $_ -match "^[0-9a-f]{64} [ *]$([regex]::Escape($Name))$" }
  if (-not $line) { throw "SHA256SUMS of $From has no ${Name}: that release has no file for this machine" }
  $wanted = ([string] $line).Substring(0, 64)
  $present = (Get-FileHash -Algorithm SHA256 -LiteralPath $File).Hash.ToLowerInvariant()
  if ($present -ne $wanted) {
    throw "$Name is not what was released: wanted SHA-256 $wanted, got $present; nothing was installed"
  }
}

function Add-ToPath([string] $Folder) {
  $path = [Environment]::GetEnvironmentVariable('Path', 'User')
  if (($path -split ';') -contains $Folder) { return }
  [Environment]::SetEnvironmentVariable('Path', (@($path, $Folder) | Where-Object { $_ }) -join ';', 'User')
  "$Folder is in PATH for terminals that are opened from now on"
}

function Install-Task([string] $File) {
  $action = New-ScheduledTaskAction -Execute $File -Argument 'serve'
  $trigger = New-ScheduledTaskTrigger -AtLogOn -User $env:USERNAME
  $settings = New-ScheduledTaskSettingsSet -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries `
    -ExecutionTimeLimit ([TimeSpan]::Zero) -RestartCount 999 -RestartInterval (New-TimeSpan -Minutes 1)
  Register-ScheduledTask -Force -TaskName '@SERVICE@' -Action $action -Trigger $trigger -Settings $settings | Out-Null
  Start-ScheduledTask -TaskName '@SERVICE@'
  'the node runs as a task, at each logon'
}

$Version = $Version -replace '^v', ''
if (-not $From) {
  $From = if ($Version) { "@RELEASES@/download/v$Version" } else { '@RELEASES@/latest/download' }
}
$From = $From.TrimEnd('/', '\')
$name = Get-FileName
New-Item -ItemType Directory -Force -Path $Dir | Out-Null
$work = Join-Path $Dir ".odist-install-$([guid]::NewGuid())"
New-Item -ItemType Directory -Path $work | Out-Null
try {
  $sums = Join-Path $work 'SHA256SUMS'
  $fetched = Join-Path $work 'odist.exe'
  Copy-Released 'SHA256SUMS' $sums
  "fetching $name from $From"
  Copy-Released $name $fetched
  Assert-Digest $fetched $name $sums
  $started = & $fetched version
  if ($LASTEXITCODE -ne 0) { throw "$name does not start on this machine; nothing was installed" }
  if ($Version -and $started -ne "odist version $Version") {
    throw "Wanted version $Version, got ""$started""; nothing was installed"
  }
  $file = Join-Path $Dir 'odist.exe'
  # Windows lets nobody replace a program that runs, but move it.
  if (Test-Path -LiteralPath $file) { Move-Item -Force -LiteralPath $file -Destination "$file.old" }
  Move-Item -LiteralPath $fetched -Destination $file
  "$file is $started"
  Add-ToPath $Dir
  if ($Service) { Install-Task $file } else { 'next: odist serve, and in another terminal: odist run tiny' }
} finally {
  Remove-Item -Recurse -Force -LiteralPath $work
}
